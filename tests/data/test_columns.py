import datetime

import numpy as np
import pyarrow as pa
import pytest

from tfmmrec.data.columns import plain, to_ids, to_numbers, to_strings, to_times, to_vectors
from tfmmrec.data.readers import Rows
from tfmmrec.types import DataError


def rows(values, kind=None):
    array = values if isinstance(values, pa.Array) else pa.array(values, kind)
    return Rows("t.csv", 11, pa.record_batch([array], ["c"]))


def refused(function, values, message, kind=None):
    with pytest.raises(DataError) as caught:
        function(rows(values, kind), "c")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([7, -3, None]), ["7", "-3", None]),
        (pa.array([2**63], pa.uint64()), [str(2**63)]),
        (pa.array(["007", "", "a b"]), ["007", None, "a b"]),
        (pa.array([b"x", None]), ["x", None]),
        (pa.array(["u", "v", "u"]).dictionary_encode(), ["u", "v", "u"]),
        (pa.array([5, 6, 5]).dictionary_encode(), ["5", "6", "5"]),
        (pa.array(["a"], pa.string_view()), ["a"]),
    ],
)
def test_ids(values, expected):
    assert to_ids(rows(values), "c").to_pylist() == expected


def test_float_ids_are_refused_with_their_row():
    refused(to_ids, [1.0, 2.0], "t.csv, row 11, column 'c': ids must be strings or integers, found the float 1.0")
    refused(
        to_ids,
        [1.0, None, 3.0],
        "t.csv, row 12, column 'c': ids must be strings or integers, found floats and no id",
    )
    refused(to_ids, [1.0, np.nan], "row 12, column 'c'")
    refused(to_ids, [1.0, None], "store the column with .astype('Int64')")
    refused(to_ids, [True], "found the type bool")
    refused(to_ids, [["a"]], "found the type list")


def test_strings():
    assert to_strings(rows(["a", " ", "", None, " b "]), "c").to_pylist() == ["a", None, None, None, " b "]
    assert to_strings(rows([25.0, 1.5, np.nan, np.inf]), "c").to_pylist() == ["25", "1.5", None, "inf"]
    assert to_strings(rows([3, None]), "c").to_pylist() == ["3", None]
    assert to_strings(rows([True, False]), "c").to_pylist() == ["true", "false"]
    assert to_strings(rows([["a", "b"], None, [], [""]]), "c").to_pylist() == [["a", "b"], None, [], [None]]
    assert to_strings(rows([[1, 2], [3]]), "c").to_pylist() == [["1", "2"], ["3"]]
    refused(
        to_strings,
        [{"a": 1}],
        "t.csv, row 11, column 'c': expected text or a list of texts, found the type struct",
    )
    refused(to_strings, [b"ok", b"a\xff"], "t.csv, row 12, column 'c': not UTF-8 at byte 1 of the value")


def test_sliced_lists_keep_their_rows():
    values = pa.array([["x"], ["a", "b"], None, ["c"]])[1:]
    assert to_strings(rows(values), "c").to_pylist() == [["a", "b"], None, ["c"]]


def test_numbers():
    texts = ["1", " 2.5 ", "", "NaN", "n/a", None, "-inf", "1e3", "0x"[:1]]
    numbers, infinite = to_numbers(rows(texts), "c")
    np.testing.assert_array_equal(numbers, [1, 2.5, np.nan, np.nan, np.nan, np.nan, np.nan, 1000, 0])
    assert np.flatnonzero(infinite).tolist() == [6]
    numbers, infinite = to_numbers(rows([1.0, np.inf, None, np.nan]), "c")
    np.testing.assert_array_equal(numbers, [1, np.nan, np.nan, np.nan])
    assert infinite.tolist() == [False, True, False, False]
    assert to_numbers(rows([True, False]), "c")[0].tolist() == [1.0, 0.0]
    assert np.isnan(to_numbers(rows([None, None]), "c")[0]).all()
    refused(to_numbers, ["1", "cheap"], "t.csv, row 12, column 'c': expected a number, found 'cheap'")
    refused(to_numbers, [[1]], "expected a number, found the type list")


def test_times():
    assert to_times(rows([10, 20]), "c").tolist() == [10.0, 20.0]
    assert to_times(rows(["964982703", "1.5"]), "c").tolist() == [964982703.0, 1.5]
    assert to_times(rows(["1970-01-02", "1970-01-01T00:01:00Z"]), "c").tolist() == [86400.0, 60.0]
    assert to_times(rows([datetime.date(1970, 1, 3)]), "c").tolist() == [172800.0]
    moment = datetime.datetime(1970, 1, 1, 0, 0, 1, 500000)
    assert to_times(rows([moment]), "c").tolist() == [1.5]
    assert to_times(rows(pa.array([moment], pa.timestamp("ns"))), "c").tolist() == [1.5]
    refused(
        to_times,
        ["1970-01-02", "soon"],
        "t.csv, row 12, column 'c': expected a number or a date like 2024-05-31",
    )
    refused(
        to_times,
        ["5", ""],
        "t.csv, row 12, column 'c': expected a time, found none; fill it, or leave `timestamp`",
    )
    refused(to_times, [moment, None], "row 12, column 'c': expected a time, found none")
    refused(to_times, [1.0, np.inf], "row 12, column 'c': expected a time, found an infinite one")


def test_vectors():
    assert to_vectors(rows([[1.0, 2.0], None]), "c") == [[1.0, 2.0], None]
    refused(to_vectors, ["1 2 3"], "expected a list of numbers for kind: vector, found the type large_string")


def test_plain_takes_dictionaries_and_views_away():
    assert plain(pa.array(["a"]).dictionary_encode()).type == pa.large_string()
    assert plain(pa.array([b"a"], pa.binary(1))).type == pa.large_binary()
