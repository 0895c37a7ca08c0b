import io
import json
import os

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tfmmrec.data import table_shards
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.feature_counts import FeatureCounts
from tfmmrec.data.id_numbers import place_of, placed_ids
from tfmmrec.data.inspection import inspect_dataset
from tfmmrec.data.packed_rows import column, numbers, pack, unpack
from tfmmrec.data.sharded_dataset import ShardedDataset
from tfmmrec.data.statistics import compute_statistics
from tfmmrec.data.table_shards import bring_files, distinct_ids, read_table_file
from tfmmrec.types import DataError

CONFIG = """\
interactions: {train: log.csv, query: q, candidate: c}
candidates:
  path: "part-*.jsonl"
  id: id
  display: [title, shop]
  features:
    title: {kind: text}
    colours: {kind: category}
    price: {kind: number}
    photo: {kind: image}
    sketch: {kind: vector, column: numbers}
"""


def rows_of(file):
    for row in range(40):
        number = 40 * file + row
        content = {"id": f"c{number}", "title": f"red coat {number % 3}" if number % 7 else "", "shop": "s"}
        content |= {"colours": ["red", "blue"][: number % 3], "price": number % 11 if number % 5 else None}
        content |= {"photo": f"p/{number}.png" if number % 2 else None, "numbers": [1.0, number] if file else None}
        yield content


def write(folder, file, rows):
    (folder / f"part-{file}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "shop"
    (folder / "p").mkdir(parents=True)
    (folder / "dataset.yaml").write_text(CONFIG)
    (folder / "log.csv").write_text("q,c\na,c1\n")
    for file in (0, 1):
        write(folder, file, rows_of(file))
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    for number in range(1, 79, 2):  # not the last one
        (folder / f"p/{number}.png").write_bytes(buffer.getvalue()[: 40 if number == 31 else None])
    return folder


def read(folder, files=(0, 1), with_media=True):
    dataset, outputs = ShardedDataset.open(folder, None, folder.parent / "to"), {"rejected": []}
    for file in files:
        for tag, value in read_table_file(file, "candidates", dataset, with_media):
            outputs.setdefault(tag, []).append(value)
    return dataset, outputs


def features_of(outputs):
    parts = {}
    for (_, name, partition), counted in outputs["feature"]:
        parts.setdefault(name, {}).setdefault(partition, []).append(counted)
    return {
        name: FeatureCounts.merged(FeatureCounts.merged(own).trimmed() for own in partitions.values())
        for name, partitions in parts.items()
    }


def test_two_files_are_counted_as_one_table(folder):
    dataset, outputs = read(folder)
    local, inspected = load_dataset(folder), inspect_dataset(folder)
    features, described = features_of(outputs), dataset.schema.candidates.features
    assert {name: counted.inspected() for name, counted in features.items()} == inspected.candidates.features
    expected = compute_statistics(local).candidates
    assert {name: counted.statistics(described[name]) for name, counted in features.items()} == expected
    ids = unpack([packed for _, packed in outputs["ids"]]).sort_by("place")
    assert column(ids, "id").to_pylist() == local.candidates.ids.to_pylist()
    assert numbers(ids, "place").tolist() == [place_of(file, row) for file in (0, 1) for row in range(1, 41)]
    counts = DatasetCounts.merged(outputs["counts"])
    found = [vars(issue) for issue in counts.all_issues("candidates")]
    assert sorted(found, key=str) == sorted((issue.model_dump() for issue in inspected.issues), key=str)
    size = sum(path.stat().st_size for path in (folder / "p").iterdir())
    assert counts.counts["media bytes", "candidates"] == size and not counts.faults
    reasons = {json.loads(line)["values"]["id"]: json.loads(line)["reason"] for line in outputs["rejected"]}
    assert sorted(reasons) == ["c31", "c79"] and reasons["c31"].startswith("without its photo: ")


def test_files_are_brought_once(folder):
    _, outputs = read(folder, with_media=False)
    to = folder.parent / "to"
    assert len(list((to / "p").iterdir())) == 39
    assert os.path.samefile(to / "p" / "1.png", folder / "p" / "1.png")
    assert outputs["rejected"] == [] and features_of(outputs)["photo"].unusable == {}
    read(folder)  # a worker that does it again


def test_without_links_files_are_copied(folder, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("another file system")

    monkeypatch.setattr(table_shards.os, "link", refuse)
    bring_files(folder, tmp_path / "copies", ["p/1.png", "p/none.png", "\0"])
    assert [path.name for path in (tmp_path / "copies" / "p").iterdir()] == ["1.png"]
    assert (tmp_path / "copies/p/1.png").read_bytes() == (folder / "p/1.png").read_bytes()


def test_every_bad_row_is_a_fault(folder):
    rows = list(rows_of(1))
    rows[3]["id"] = None
    rows[5]["numbers"] = [1.0]
    rows[7]["photo"] = "../secret.png"
    write(folder, 1, rows)
    _, outputs = read(folder)
    lines = [json.loads(line) for line in outputs["rejected"] if "without its" not in line]
    assert [(line["file"], line["row"]) for line in lines] == [("part-1.jsonl", 4), ("part-1.jsonl", 8)]
    counts = DatasetCounts.merged(outputs["counts"])
    assert "part-1.jsonl, row 4, column 'id': expected an id" in counts.faults[0]
    assert "leaves the dataset's folder" in counts.faults[1]
    with pytest.raises(DataError, match="found vectors of 1 and of 2 numbers"):
        features_of(outputs)["sketch"].inspected()


def test_a_file_that_breaks_off_is_a_fault(folder):
    with open(folder / "part-1.jsonl", "a") as file:
        file.write("{")
    _, outputs = read(folder, files=[1])
    counts = DatasetCounts.merged(outputs["counts"])
    assert len(counts.faults) == 1 and counts.faults[0].startswith("part-1.jsonl, line 41: not JSON")


def test_an_id_that_stands_there_twice_is_told_with_both_places(folder):
    dataset, _ = read(folder, files=[])
    places = [place_of(1, 9), place_of(0, 8), place_of(0, 1)]
    packed = pack(placed_ids(pa.array(["c7", "c7", "c0"]), np.array(places)))
    found = list(distinct_ids(0, [packed], "candidates", dataset))
    (line,) = (json.loads(value) for tag, value in found if tag == "rejected")
    (counts,) = (value for tag, value in found if tag == "counts")
    expected = "part-1.jsonl, row 9, column 'id': the id 'c7' stands there twice, first in part-0.jsonl, row 8;"
    assert line["reason"].startswith(expected) and line["values"] == {"id": "c7"} and line["row"] == 9
    assert counts.faults == (line["reason"],)
    kept = unpack([value[1] for tag, value in found if tag == "stretch"])
    assert sorted(column(kept, "id").to_pylist()) == ["c0", "c7"]
