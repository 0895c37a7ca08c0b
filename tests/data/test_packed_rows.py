import zlib

import numpy as np
import pyarrow as pa

from tfmmrec.data.packed_rows import column, dealt, gathered, numbers, pack, partitions_of, unpack

ROWS = pa.record_batch(
    {"id": pa.array(["a", "b", None, "a", "ü"], pa.large_string()), "number": np.arange(5, dtype=np.int64)}
)


def test_rows_come_out_as_they_went_in():
    table = unpack([pack(ROWS), pack(ROWS.slice(3))])
    assert column(table, "id").to_pylist() == ["a", "b", None, "a", "ü", "a", "ü"]
    assert numbers(table, "number").tolist() == [0, 1, 2, 3, 4, 3, 4]
    assert unpack([]) is None


def test_packs_are_gathered_until_they_have_enough_rows():
    packs = [pack(ROWS.slice(0, count)) for count in (2, 2, 5, 1)]
    assert [numbers(table, "number").tolist() for table in gathered(packs, 4)] == [[0, 1, 0, 1], [0, 1, 2, 3, 4], [0]]
    assert list(gathered([])) == []


def test_dealt_rows_keep_their_order_and_nothing_else_is_sent():
    large = pa.record_batch({"number": np.arange(100_000)})
    parts = dict(dealt(large, np.arange(100_000) % 7))
    assert sorted(parts) == list(range(7))
    for key, packed in parts.items():
        np.testing.assert_array_equal(numbers(unpack([packed]), "number"), np.arange(key, 100_000, 7))
        assert len(packed) < 100_000 // 7 * 8 + 1000
    assert list(dealt(large.slice(0, 0), np.zeros(0, np.int64))) == []


def test_an_id_has_one_partition_everywhere():
    ids = pa.concat_arrays([ROWS.column("id"), pa.array(["b"], pa.large_string())])
    expected = [zlib.crc32((id or "").encode()) % 11 for id in ids.to_pylist()]
    assert partitions_of(ids, 11).tolist() == expected
