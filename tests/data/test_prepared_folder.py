import json

import numpy as np
import pytest

from tests.data.preparing import prepare, write_dataset
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.inspection import inspect_dataset
from tfmmrec.data.prepared_folder import check_counts, finish_folder
from tfmmrec.data.statistics import compute_statistics
from tfmmrec.types import DataError

LOG = 'path: "log-*.csv", split: {method: ratio, valid: 0.2, test: 0.2}, cold_candidates: 0.1'


def add_vectors(folder, num_rows=24):
    """Vectors by row, one of them unusable, of the candidates of `write_dataset`."""
    vectors = np.arange(num_rows * 3, dtype=np.float32).reshape(-1, 3)
    vectors[5, 1] = np.inf
    np.save(folder / "vectors.npy", vectors)
    text = (folder / "dataset.yaml").read_text()
    described = "features: {look: {kind: vector, path: vectors.npy}, title"
    (folder / "dataset.yaml").write_text(text.replace("features: {title", described))


def test_what_is_found_is_what_one_process_finds(tmp_path):
    folder = write_dataset(tmp_path / "shop", LOG)
    add_vectors(folder)
    dataset, counts, rejected = prepare(folder, tmp_path / "to")
    check_counts(dataset, counts, 0.0, "errors")
    found = finish_folder(dataset, counts, str(folder))
    local = inspect_dataset(folder)
    assert local.issues and found == local
    assert json.loads((tmp_path / "to" / "inspection.json").read_text()) == local.to_dict()
    assert len(rejected) == sum(issue.count for issue in local.issues if issue.kind == "unknown candidate id")
    expected = compute_statistics(load_dataset(folder))
    statistics = json.loads((tmp_path / "to" / "statistics.json").read_text())
    own = {name: feature.model_dump() for name, feature in expected.candidates.items()}
    assert (statistics["candidates"], statistics["queries"]) == (own, {})
    assert statistics["longest_history"] == expected.longest_history
    assert statistics["rating_mean"] == pytest.approx(expected.rating_mean, rel=1e-12)
    assert statistics["rating_stddev"] == pytest.approx(expected.rating_stddev, rel=1e-12)
    assert compute_statistics(load_dataset(tmp_path / "to")) == expected


def test_vectors_without_their_rows(tmp_path):
    folder = write_dataset(tmp_path / "shop", LOG)
    add_vectors(folder, num_rows=23)
    dataset, counts, _ = prepare(folder, tmp_path / "to")
    with pytest.raises(DataError, match="vectors.npy: expected 24 rows, .* found 23"):
        finish_folder(dataset, counts, "shop")


def prepared(tmp_path, **files):
    """The counts of a small dataset, some files of which are others."""
    folder = write_dataset(tmp_path / "shop", LOG)
    for name, text in files.items():
        (folder / name.replace("__", "-").replace("_", ".")).write_text(text)
    return prepare(folder, tmp_path / "to")[:2]


HEADER = "user,thing,time,stars,device\n"
BAD = {
    "duplicate": (
        {"things__1_csv": "id,title,price,tags\ni1,a,1,\ni1,b,2,\n"},
        "the id 'i1' stands there twice, first in",
    ),
    "file": ({"log__1_csv": "user\nu1\n"}, "log-1.csv: no column 'thing'"),
    "several": ({"log__1_csv": "user\nu1\n", "things__1_csv": "id\n1\n"}, r"one of several faults, which errors has\)"),
    "choices": (
        {f"log__{file}_csv": f"{HEADER}u1,i1,1,1,\n" for file in range(3)},
        "none of the 3 interactions satisfies",
    ),
    "empty": ({f"log__{file}_csv": HEADER for file in range(3)}, "no interactions; expected at least one row"),
    "unknown": (
        {f"log__{file}_csv": f"{HEADER}u1,x,1,5,\n" for file in range(3)},
        "none of the 3 interactions has both",
    ),
    "cold": (
        {f"log__{file}_csv": f"{HEADER}u{file},i1,1,5,\n" for file in range(3)},
        "cold_candidates: 0.1 asks for 2",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_dataset_is_refused(tmp_path, name):
    files, message = BAD[name]
    dataset, counts = prepared(tmp_path, **files)
    with pytest.raises(DataError, match=message):
        check_counts(dataset, counts, 0.01, "errors")


def test_a_part_without_rows(tmp_path):
    rows = "".join(f"u{row},i{row},1,5,\n" for row in range(20))
    dataset, counts = prepared(tmp_path, log__0_csv=HEADER + rows, log__1_csv=HEADER, log__2_csv=HEADER)
    with pytest.raises(
        DataError, match="valid is empty .method: ratio, valid: 0.2, test: 0.2, cold_candidates: 0.1, 20"
    ):
        check_counts(dataset, counts, 0.01, "errors")


def test_some_unreadable_rows_are_allowed(tmp_path):
    dataset, counts = prepared(tmp_path, log__1_csv=HEADER + "u1,i1,1,much,\n" + "u1,i1,1,5,\n" * 99)
    assert counts.counts["unreadable", "path"] == 1 and counts.counts["read", "path"] == 400
    check_counts(dataset, counts, 1 / 400, "errors")
    with pytest.raises(
        DataError, match="1 of 400 interactions cannot be read, expected at most a share of 0.002; .*errors"
    ):
        check_counts(dataset, counts, 0.002, "errors")
