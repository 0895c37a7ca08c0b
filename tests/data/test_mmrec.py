from __future__ import annotations

import numpy as np
import pytest

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.mmrec import convert_mmrec
from tfmmrec.types import DataError, UsageError

HEADER = "userID\titemID\trating\ttimestamp\tx_label"
ROWS = [
    (0, 0, 5.0, 10, 0),
    (0, 1, 2.0, 20, 0),
    (0, 2, 4.0, 30, 1),
    (1, 1, 5.0, 15, 0),
    (1, 3, 5.0, 40, 2),
    (2, 0, 3.0, 5, 0),
]


@pytest.fixture
def baby(tmp_path):
    """Three people, four candidates and a fifth that nobody chose; float64 pictures, float32 texts."""
    folder = tmp_path / "baby"
    folder.mkdir()
    (folder / "baby.inter").write_text("\n".join([HEADER, *("\t".join(map(str, row)) for row in ROWS)]) + "\n")
    np.save(folder / "image_feat.npy", np.arange(15, dtype=np.float64).reshape(5, 3) / 7)
    np.save(folder / "text_feat.npy", np.arange(10, dtype=np.float32).reshape(5, 2))
    return folder


def pairs(dataset, part):
    log = dataset.parts[part]
    queries = np.repeat(dataset.queries.ids.to_pylist(), np.diff(log.indptr))
    candidates = dataset.candidates.ids.take(log.indices).to_pylist()
    return sorted(zip(queries.tolist(), candidates, strict=True))


def test_parts_and_vectors(baby, tmp_path):
    made = convert_mmrec(baby, tmp_path / "out")
    assert (made.num_interactions, made.num_queries, made.num_candidates, made.issues) == (6, 3, 5, [])
    dataset = load_dataset(tmp_path / "out")
    assert pairs(dataset, "train") == [("0", "0"), ("0", "1"), ("1", "1"), ("2", "0")]
    assert pairs(dataset, "valid") == [("0", "2")] and pairs(dataset, "test") == [("1", "3")]
    assert dataset.test.columns["timestamp"].tolist() == [40.0] and dataset.test.columns["rating"].tolist() == [5.0]
    assert dataset.candidates.ids.to_pylist() == ["0", "1", "2", "3", "4"]
    image = np.load(tmp_path / "out" / "image_feat.npy")
    assert image.dtype == np.float32 and image.tolist() == (np.arange(15).reshape(5, 3) / 7).astype(np.float32).tolist()
    np.testing.assert_array_equal(dataset.candidates.features["text"], np.arange(10).reshape(5, 2))
    np.testing.assert_array_equal(dataset.candidates.features["image"], image)


def test_a_rating_from_which_on_a_row_is_a_choice(baby, tmp_path):
    convert_mmrec(baby, tmp_path / "out", min_rating=4)
    assert pairs(load_dataset(tmp_path / "out"), "train") == [("0", "0"), ("1", "1")]


def test_without_ratings_times_and_texts(baby, tmp_path):
    rows = ["x_label\tuserID\titemID", "0\t7\t1", "2\t7\t2", "0\t8\t1", "3\t8\t1", "0\t8\tx", "0\t8"]
    (baby / "baby.inter").write_text("\n".join(rows))
    (baby / "text_feat.npy").unlink()
    with pytest.raises(UsageError, match="min_rating needs ratings, but baby.inter has only x_label, userID, itemID"):
        convert_mmrec(baby, tmp_path / "out", min_rating=4)
    made = convert_mmrec(baby, tmp_path / "out")
    assert made.num_queries == 2 and [(issue.kind, issue.count) for issue in made.issues] == [
        ("broken line, left out", 3)
    ]
    dataset = load_dataset(tmp_path / "out")
    assert pairs(dataset, "train") == [("7", "1"), ("8", "1")] and dataset.valid is None
    assert set(dataset.candidates.features) == {"image"} and not dataset.train.columns


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "baby.inter").unlink(),
            r"expected \*.inter and image_feat.npy or .*MMRec comes from",
        ),
        (
            lambda folder: (folder / "more.inter").write_text(""),
            "expected one .inter file, found baby.inter, more.inter",
        ),
        (
            lambda folder: (folder / "baby.inter").write_text("userID\titemID\n"),
            "x_label is not among 'userID, itemID'",
        ),
        (
            lambda folder: np.save(folder / "text_feat.npy", np.zeros((3, 2))),
            r"found image_feat.npy \[5, 3\], text_feat",
        ),
        (
            lambda folder: np.save(folder / "text_feat.npy", np.zeros(3)),
            r"expected numbers \[rows, dim\], found float64",
        ),
        (lambda folder: (folder / "text_feat.npy").write_text("x"), "expected a .npy file of numbers"),
        (
            lambda folder: (folder / "baby.inter").write_text(f"{HEADER}\n0\t1\t5\t1\t0\n0\t5\t5\t1\t0\n"),
            "baby.inter, line 3: itemID 5, but the vectors have 5 rows",
        ),
        (
            lambda folder: (folder / "baby.inter").write_text(f"{HEADER}\n0\t1\t5\t1\t2\n"),
            "no row has x_label 0, which is",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change, message, baby, tmp_path):
    change(baby)
    with pytest.raises(DataError, match=message):
        convert_mmrec(baby, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_numbers_that_python_reads_and_arrow_does_not(baby, tmp_path):
    rows = [HEADER, "0\t0\t 5.0\t1_000\t0", "0\t1\t4.5\t20\t0", "0\t2\tgood\t30\t0"]
    (baby / "baby.inter").write_text("\n".join(rows))
    made = convert_mmrec(baby, tmp_path / "out")
    assert made.num_interactions == 2 and [issue.count for issue in made.issues] == [1]
    columns = load_dataset(tmp_path / "out").train.columns
    assert sorted(columns["rating"].tolist()) == [4.5, 5.0] and sorted(columns["timestamp"].tolist()) == [20.0, 1000.0]
