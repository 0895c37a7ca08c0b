"""From raw columns to ids, strings and numbers; every refusal names the file, the row and the column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.readers import Rows
from tfmmrec.types import DataError

_MISSING_WORDS = pa.array(["", "nan", "na", "n/a", "null", "none"], pa.large_string())


def plain(column: pa.Array) -> pa.Array:
    """The column without dictionaries and views: strings as large_string, bytes as large_binary."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.large_string())
    if _is_bytes(column.type) and not pa.types.is_large_binary(column.type):
        return column.cast(pa.large_binary())
    return column


def to_ids(rows: Rows, column: str) -> pa.Array:
    """Ids as strings: integers in decimal form, strings as they stand, empty ones null, all else refused."""
    values = rows.column(column)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        return pc.take(to_ids(rows.replace(column, values.dictionary), column), values.indices)
    values = plain(values)
    kind = values.type
    if pa.types.is_null(kind) or pa.types.is_integer(kind):
        return values.cast(pa.large_string())
    if pa.types.is_large_binary(kind):
        values = _decoded(rows, column, values)
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        _refuse_float(rows, column, values)
    elif not pa.types.is_large_string(kind):
        raise DataError(f"{rows.place(0, column)}: ids must be strings or integers, found the type {kind}")
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.large_string()), values)


def _refuse_float(rows: Rows, column: str, values: pa.Array) -> None:
    missing = np.flatnonzero(np.isnan(values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)))
    if missing.size:
        raise DataError(
            f"{rows.place(int(missing[0]), column)}: ids must be strings or integers, found floats and no "
            "id in this "
            "row (pandas turns integers with a missing value into floats); remove or fill the row and store "
            "the "
            "column with .astype('Int64')"
        )
    raise DataError(
        f"{rows.place(0, column)}: ids must be strings or integers, found the float {values[0].as_py()!r}; "
        "store the "
        "column as integers (pandas: .astype('Int64')) or as strings"
    )


def to_strings(rows: Rows, column: str) -> pa.Array:
    """Values as large_string, or as lists of them; null where empty. Whole floats lose their ".0"."""
    return _strings(rows, column, plain(rows.column(column)))


def _strings(rows: Rows, column: str, values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_large_binary(kind):
        values = _decoded(rows, column, values)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        values = values.cast(pa.large_list(kind.value_type))
        parts = _strings(rows, column, plain(values.values))
        return pa.LargeListArray.from_arrays(values.offsets, parts, mask=values.is_null())
    elif pa.types.is_floating(kind):
        numbers = values.to_pylist()
        values = pa.array([_float_text(number) for number in numbers], pa.large_string())
    elif pa.types.is_nested(kind):
        raise DataError(f"{rows.place(0, column)}: expected text or a list of texts, found the type {kind}")
    elif not pa.types.is_large_string(kind):
        values = values.cast(pa.large_string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), pa.scalar(None, pa.large_string()), values)


def _float_text(number: float | None) -> str | None:
    if number is None or number != number:
        return None
    return str(int(number)) if np.isfinite(number) and number == int(number) else repr(number)


def _decoded(rows: Rows, column: str, values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.large_string())
    except pa.ArrowInvalid:
        for index, value in enumerate(values.to_pylist()):
            try:
                (value or b"").decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{rows.place(index, column)}: not UTF-8 at byte {error.start} of the value; store text as UTF-8"
                ) from None
        raise


def to_numbers(rows: Rows, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, float64 `[rows]`, NaN where missing; and where one was infinite, bool `[rows]`."""
    values = plain(rows.column(column))
    kind = values.type
    if pa.types.is_large_binary(kind):
        values = _decoded(rows, column, values)
        kind = values.type
    if pa.types.is_null(kind):
        numbers = np.full(len(values), np.nan)
    elif pa.types.is_large_string(kind):
        numbers = _parsed(rows, column, values)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False).copy()
    elif pa.types.is_boolean(kind):
        numbers = values.cast(pa.uint8()).cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False).copy()
    else:
        raise DataError(f"{rows.place(0, column)}: expected a number, found the type {kind}")
    infinite = np.isinf(numbers)
    numbers[infinite] = np.nan
    return numbers, infinite


def _parsed(rows: Rows, column: str, values: pa.Array) -> np.ndarray:
    trimmed = pc.utf8_trim_whitespace(values)
    missing = pc.is_in(pc.utf8_lower(trimmed), value_set=_MISSING_WORDS)
    trimmed = pc.if_else(missing, pa.scalar(None, pa.large_string()), trimmed)
    try:
        return trimmed.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False).copy()
    except pa.ArrowInvalid:
        pass
    numbers = np.full(len(values), np.nan)
    for index, text in enumerate(trimmed.to_pylist()):
        if text is not None:
            try:
                numbers[index] = float(text)
            except ValueError:
                raise DataError(f"{rows.place(index, column)}: expected a number, found {_shown(text)}") from None
    return numbers


def to_times(rows: Rows, column: str) -> np.ndarray:
    """Times, float64 `[rows]`: dates in seconds since 1970, numbers as they stand, none missing."""
    values = plain(rows.column(column))
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(values.type):
        micros = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
        numbers = micros.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False) / 1e6
        infinite = np.zeros(len(numbers), bool)
    else:
        try:
            numbers, infinite = to_numbers(rows, column)
        except DataError:
            if not pa.types.is_large_string(values.type) or _is_number(values.drop_null()[0].as_py()):
                raise
            numbers, infinite = _parsed_times(rows, column, values), np.zeros(len(values), bool)
    bad = np.flatnonzero(np.isnan(numbers))
    if bad.size:
        found = "an infinite one" if infinite[bad[0]] else "none"
        raise DataError(
            f"{rows.place(int(bad[0]), column)}: expected a time, found {found}; fill it, or leave `timestamp` out"
        )
    return numbers


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _parsed_times(rows: Rows, column: str, values: pa.Array) -> np.ndarray:
    import pandas as pd

    texts = pd.Series(values.to_pylist(), dtype=object)
    times = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    bad = np.flatnonzero(times.isna().to_numpy() & texts.notna().to_numpy())
    if bad.size:
        raise DataError(
            f"{rows.place(int(bad[0]), column)}: expected a number or a date like 2024-05-31 or "
            "2024-05-31T12:30:00, "
            f"found {_shown(str(texts[bad[0]]))}"
        )
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)


def to_vectors(rows: Rows, column: str) -> list:
    """Lists of numbers, one for each row, None where missing."""
    values = plain(rows.column(column))
    kind = values.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not (is_list or pa.types.is_null(kind)):
        raise DataError(
            f"{rows.place(0, column)}: expected a list of numbers for kind: vector, found the type {kind}; "
            "store the "
            "vectors in a Parquet or JSON Lines list column, or in a .npy file named by `path`"
        )
    return values.to_pylist()


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _is_bytes(kind: pa.DataType) -> bool:
    return any(
        check(kind)
        for check in (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
            pa.types.is_fixed_size_binary,
        )
    )
