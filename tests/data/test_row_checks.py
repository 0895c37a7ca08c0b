import json
import math

import pyarrow as pa

from tfmmrec.data.columns import to_numbers
from tfmmrec.data.readers import Rows
from tfmmrec.data.row_checks import Readable, Rejected, readable_rows, rejected


def rows_of(values, first=1):
    return Rows("log.csv", first, pa.record_batch({"rating": pa.array(values), "id": range(len(values))}))


def numbers(rows):
    return to_numbers(rows, "rating")[0].tolist()


def test_all_but_the_bad_rows_are_read_in_their_order():
    values = [str(number) for number in range(100)]
    values[3] = values[64] = values[99] = "much"
    found = list(readable_rows(rows_of(values, first=11), numbers))
    read = [number for piece in found if isinstance(piece, Readable) for number in piece.found]
    assert read == [number for number in range(100) if number not in (3, 64, 99)]
    firsts = [piece.rows.first if isinstance(piece, Readable) else piece.row for piece in found]
    assert firsts == sorted(firsts)
    bad = [piece for piece in found if isinstance(piece, Rejected)]
    assert [(piece.file, piece.row) for piece in bad] == [("log.csv", row + 11) for row in (3, 64, 99)]
    assert bad[0].reason == "log.csv, row 14, column 'rating': expected a number, found 'much'"
    assert bad[0].values == {"rating": "much", "id": 3}


def test_good_rows_are_read_at_once():
    (piece,) = readable_rows(rows_of(["1", "2"]), numbers)
    assert piece.found == [1.0, 2.0]
    assert list(readable_rows(rows_of([]), numbers)) == []


def test_a_line_is_json_whatever_the_row_holds():
    rows = Rows("a", 5, pa.record_batch({"x": [math.nan], "y": ["ü" * 300], "z": [b"\xff"], "w": [[1, 2]]}))
    line = json.loads(rejected(rows, 0, "why").line())
    assert (line["file"], line["row"], line["reason"]) == ("a", 5, "why")
    assert line["values"] == {"x": "nan", "y": "ü" * 197 + "...", "z": "b'\\xff'", "w": "[1, 2]"}
    assert rejected(rows, 0, "why", ["w"]).values == {"w": [1, 2]}
