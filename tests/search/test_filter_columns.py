import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.filter_columns import (
    MAX_FEATURES,
    FilterColumns,
    assign_all,
    feature_names,
    vocabulary_replacements,
)

VALUES = ["colour=red", "colour=blue", "fabric=silk", "fabric=a=b"]
# red silk; blue; red and blue, a=b; nothing
CODES = [[0, 2], [1, -1], [1, 0], [-1, -1]]


def _columns(codes, values):
    made = FilterColumns()
    assign_all(*made.replacements(tf.constant(codes), tf.constant(values, tf.string)))
    return made


@pytest.fixture
def columns():
    return _columns(CODES, VALUES)


@pytest.mark.parametrize(
    ("allow", "deny", "expected"),
    [
        ([], [], [True, True, True, True]),
        (["colour=red"], [], [True, False, True, False]),
        (["colour=red", "colour=blue"], [], [True, True, True, False]),
        (["colour=red", "fabric=silk"], [], [True, False, False, False]),
        (["colour=red", "colour=red"], [], [True, False, True, False]),
        (["fabric=a=b"], [], [False, False, False, False]),
        (["colour=green"], [], [False, False, False, False]),
        (["colour=green", "colour=blue"], [], [False, True, True, False]),
        (["size=m"], [], [False, False, False, False]),
        (["red"], [], [False, False, False, False]),
        ([], ["colour=blue"], [True, False, False, True]),
        ([], ["colour=green", "size=m", "red"], [True, True, True, True]),
        (["colour=red"], ["colour=blue", "colour=blue"], [True, False, False, False]),
        (["colour=red"], ["colour=red"], [False, False, False, False]),
    ],
)
def test_who_passes(columns, allow, deny, expected):
    padded = [["", *allow, "", ""][:4] if len(allow) < 3 else allow]
    found = columns.passing(tf.constant(padded), tf.constant([[*deny, ""]]))
    np.testing.assert_array_equal(found, [expected])


def test_each_row_has_its_own_filters(columns):
    allow = tf.constant([["colour=blue"], [""], ["fabric=silk"]])
    deny = tf.constant([["colour=red", ""], ["", ""], ["", "fabric=silk"]])
    expected = [[False, True, False, False], [True] * 4, [False] * 4]
    np.testing.assert_array_equal(columns.passing(allow, deny), expected)


def test_main_category_is_the_first_column(columns):
    np.testing.assert_array_equal(columns.categories_of(tf.constant([[3, 0], [2, 1]])), [[-1, 0], [1, 1]])


def test_as_many_features_as_there_are_bits():
    values = [f"f{feature}={value}" for feature in range(MAX_FEATURES) for value in "ab"]
    codes = [[2 * feature for feature in range(MAX_FEATURES)], [2 * feature + 1 for feature in range(MAX_FEATURES)]]
    columns = _columns(codes, values)
    found = columns.passing(tf.constant([values[::2], [*values[:-2:2], values[-1]]]), tf.constant([[""], [""]]))
    np.testing.assert_array_equal(found, [[True, False], [False, False]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 29 different features"):
        _columns(codes, [*values, "more=1"])


def test_codes_must_be_values():
    with pytest.raises(tf.errors.InvalidArgumentError, match="codes must be places in values"):
        _columns([[1]], ["colour=red"])


def test_no_values_at_all():
    columns = _columns([[-1], [-1]], [])
    found = columns.passing(tf.constant([["colour=red"], [""]]), tf.constant([["colour=red"], ["colour=red"]]))
    np.testing.assert_array_equal(found, [[False, False], [True, True]])


def test_feature_names():
    np.testing.assert_array_equal(feature_names(tf.constant(["a=b", "a=b=c", "a=", "a", ""])), [b"a"] * 4 + [b""])


def test_a_vocabulary_needs_different_strings(columns):
    def replace(strings):
        replacements, check = vocabulary_replacements(columns.values, tf.constant(strings), "words")
        assign_all(replacements, [check])

    replace(["x", "y"])
    np.testing.assert_array_equal(columns.values(tf.constant(["y", "z", "x"])), [1, -1, 0])
    for run in (replace, tf.function(replace)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="words must be different"):
            run(["x", "y", "x"])
    np.testing.assert_array_equal(columns.values(tf.constant(["y", "z", "x"])), [1, -1, 0])
