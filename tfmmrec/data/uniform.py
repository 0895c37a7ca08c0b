"""Arrays of one type from the values of a column that a file or a person typed freely."""

from __future__ import annotations

import math

import pyarrow as pa

from tfmmrec.types import DataError

_ID_LIKE = (str, int)


def uniform_array(values: list, source: str, column: str, first: int) -> pa.Array:
    """An array of one type; strings and integers mixed become strings.

    Args:
        values: Python values, None or NaN where missing.
        source: the file's or frame's name, for messages.
        column: the column's name.
        first: the first value's row number.

    Raises:
        DataError: names the first row whose value is of another kind than those before.
    """
    try:
        array = pa.array(values, from_pandas=True)
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        pass
    present = [(row, value) for row, value in enumerate(values) if not _is_missing(value)]
    if all(isinstance(value, _ID_LIKE) and not isinstance(value, bool) for _, value in present):
        return pa.array([None if _is_missing(value) else str(value) for value in values], pa.large_string())
    usual = type(present[0][1])
    for row, value in present:
        if type(value) is not usual and not {type(value), usual} <= {int, float}:
            raise DataError(
                f"{source}, row {first + row}, column {column!r}: expected {_name(usual)} like in the rows "
                "before, "
                f"found {_name(type(value))} {str(value)[:60]!r}; give the column one type"
            )
    if {type(value) for _, value in present} <= {int, float}:
        return pa.array([None if _is_missing(value) else float(value) for value in values], pa.float64())
    place = f"{source}, row {first + present[0][0]}, column {column!r}"
    raise DataError(f"{place}: expected text, numbers, bytes or lists of them, found {_name(usual)}")


def _is_missing(value) -> bool:
    return value is None or isinstance(value, float) and math.isnan(value)


def _name(kind: type) -> str:
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
    return names.get(kind, "an object" if kind is dict else f"a {kind.__name__}")
