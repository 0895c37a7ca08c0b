from collections import defaultdict

import numpy as np
import pyarrow as pa

from tfmmrec.data.id_numbers import (
    by_hash,
    file_and_row,
    first_places,
    ids_in_order,
    num_packed,
    numbered,
    place_of,
    placed_ids,
    range_ids,
    starts_of,
    with_rows,
)
from tfmmrec.data.packed_rows import pack

NUM_PARTITIONS = 5


def grouped(pairs):
    groups = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def number(batches, distinct=False):
    """All steps as a pipeline does them -> ("by_hash" and "by_row" groups, what stands there again)."""
    partitions = grouped(pair for batch in batches for pair in by_hash(batch, NUM_PARTITIONS))
    found = [pair for packed in partitions.values() for pair in first_places(packed[::-1], distinct)]
    stretches = grouped(value for tag, value in found if tag == "stretch")
    starts = starts_of({key: sum(map(num_packed, packed)) for key, packed in stretches.items()})
    outputs = defaultdict(list)
    for key, packed in stretches.items():
        for tag, value in numbered(key, packed, starts, NUM_PARTITIONS, 100):
            outputs[tag].append(value)
    again = [value for tag, value in found if tag == "again"]
    return {tag: grouped(values) for tag, values in outputs.items()}, again


def test_rows_are_in_the_order_of_first_places():
    random = np.random.default_rng(0)
    ids = [str(number) for number in random.integers(0, 700, 3000)]
    order = list(dict.fromkeys(ids))
    places = [place_of(row // 1000, 1 + row % 1000) for row in range(3000)]  # three files
    batches = [placed_ids(pa.array(ids[at : at + 500]), np.array(places[at : at + 500])) for at in range(0, 3000, 500)]
    outputs, again = number(batches[::-1])
    assert again == []
    blocks = [ids_in_order(packed).to_pylist() for _, packed in sorted(outputs["by_row"].items())]
    assert sum(blocks, []) == order and {len(block) for block in blocks[:-1]} == {100}


def test_known_ids_get_their_rows_and_others_none():
    outputs, _ = number([range_ids(0, 150), range_ids(150, 300)])
    log = pa.record_batch({"candidate": pa.array(["7", "299", "300", "007"], pa.large_string())})
    partitions = grouped(by_hash(log.rename_columns(["id"]), NUM_PARTITIONS))
    found = {}
    for partition, packed in partitions.items():
        rows = [pack(pa.ipc.open_stream(part).read_all().rename_columns(["candidate"])) for part in packed]
        for table in with_rows(rows, outputs["by_hash"].get(partition, []), "candidate"):
            found |= dict(zip(table["candidate"].to_pylist(), table["candidate_row"].to_pylist(), strict=True))
    assert found == {"7": 7, "299": 299, "300": -1, "007": -1}
    (table,) = with_rows([pack(log)], [], "candidate")
    assert table["candidate_row"].to_pylist() == [-1] * 4


def test_ids_of_a_table_that_stand_there_twice_are_told():
    table = placed_ids(pa.array(["a", "b", "a", "c", "a"]), np.array([place_of(0, 1), 2, 3, 4, place_of(1, 1)]))
    outputs, again = number([table], distinct=True)
    assert sorted(again) == [("a", 3, 1), ("a", place_of(1, 1), 1)]
    (block,) = outputs["by_row"].values()
    assert ids_in_order(block).to_pylist() == ["a", "b", "c"]


def test_places():
    assert file_and_row(place_of(3, 17)) == (3, 17)
    assert starts_of({5: 2, 1: 3}) == {1: 0, 5: 3, -1: 5}
    assert starts_of({}) == {-1: 0}
