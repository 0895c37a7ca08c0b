import pytest

from tfmmrec.data.uniform import uniform_array
from tfmmrec.types import DataError


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 2], [1, None, 2]),
        (["a", float("nan"), "b"], ["a", None, "b"]),
        ([1, "007", None], ["1", "007", None]),
        ([1, 2.5], [1.0, 2.5]),
        ([2**70, "x"], [str(2**70), "x"]),
        ([2**70, 1.5], [float(2**70), 1.5]),
        ([["a", "b"], None], [["a", "b"], None]),
        ([None, None], [None, None]),
    ],
)
def test_values_that_go_together(values, expected):
    assert uniform_array(values, "x", "c", 1).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", 1.5], "t, row 11, column 'c': expected text like in the rows before, found a number '1.5'"),
        (
            [1, 2, True],
            "t, row 12, column 'c': expected a whole number like in the rows before, found true or false",
        ),
        ([["a"], "a"], "t, row 11, column 'c': expected a list like in the rows before, found text 'a'"),
        ([object()], "t, row 10, column 'c': expected text, numbers, bytes or lists of them, found a object"),
    ],
)
def test_values_that_do_not(values, message):
    with pytest.raises(DataError) as caught:
        uniform_array(values, "t", "c", 10)
    assert message in str(caught.value)
