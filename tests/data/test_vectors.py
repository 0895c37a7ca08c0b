import numpy as np
import pyarrow as pa
import pytest

from tfmmrec.data import storage, vectors
from tfmmrec.data.issues import Issues
from tfmmrec.data.readers import Rows
from tfmmrec.data.vectors import VectorColumn, load_vectors
from tfmmrec.types import DataError


def load(root, array, num_rows=3, name="v.npy"):
    np.save(root / name, array)
    issues = Issues()
    return load_vectors(root, name, num_rows, "candidates.features.v.path", issues), issues.all


def test_float32_stays_on_disk(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    loaded, issues = load(tmp_path, array)
    assert isinstance(loaded, np.memmap) and (loaded == array).all() and not issues


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8])
def test_other_numbers_become_float32(tmp_path, dtype):
    loaded, _ = load(tmp_path, np.arange(6).reshape(3, 2).astype(dtype))
    assert loaded.dtype == np.float32 and loaded.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_rows_with_nan_or_infinity_are_missing_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(vectors, "_CHUNK_BYTES", 8)
    array = np.array([[1, 2], [np.inf, 1], [np.nan, np.nan], [3, np.nan]], np.float32)
    loaded, issues = load(tmp_path, array, num_rows=4)
    assert loaded[0].tolist() == [1, 2] and np.isnan(loaded[1:]).all()
    assert [(issue.kind, issue.where, issue.count, issue.example) for issue in issues] == [
        ("vector with NaN or infinite numbers, taken as missing", "v.npy", 2, "row 2")
    ]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 4)), "v.npy: expected 3 rows, one for each id in the table's order, found 2"),
        (np.zeros(3), r"v.npy: expected an array of numbers [rows, dim], found float64 [3]"),
        (np.array([["a"]] * 3), r"v.npy: expected an array of numbers [rows, dim], found <U1 [3, 1]"),
        (np.array([[None]] * 3), "v.npy: expected a .npy file of numbers [rows, dim]"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message):
    with pytest.raises(DataError) as caught:
        load(tmp_path, array)
    assert message in str(caught.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "v.npy").write_text("1,2,3")
    with pytest.raises(DataError, match="v.npy: expected a .npy file of numbers"):
        load_vectors(tmp_path, "v.npy", 3, "key", Issues())
    np.savez(tmp_path / "v.npz", a=np.zeros((3, 2)))
    with pytest.raises(DataError, match="v.npz: expected an array of numbers .* found an archive"):
        load_vectors(tmp_path, "v.npz", 3, "key", Issues())
    with pytest.raises(DataError, match="`key`: no file 'w.npy'"):
        load_vectors(tmp_path, "w.npy", 3, "key", Issues())
    with pytest.raises(DataError, match="`key`: 'w.npy' is a file, but there is no folder; pass root="):
        load_vectors(None, "w.npy", 3, "key", Issues())


def gather(*batches):
    column, first = VectorColumn("v", Issues()), 1
    for batch in batches:
        column.add(Rows("t.jsonl", first, pa.record_batch([pa.array(batch, pa.list_(pa.float64()))], ["v"])))
        first += len(batch)
    return column


def test_lists_become_rows():
    column = gather([None, []], [[1.0, 2.0], None, [3.0, None]])
    values = column.finish()
    assert values.dtype == np.float32 and values.shape == (5, 2)
    assert values[2].tolist() == [1, 2] and np.isnan(values[[0, 1, 3, 4]]).all()
    assert [(issue.count, issue.example) for issue in column.issues.all] == [(1, "row 5")]


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(DataError, match="t.jsonl, row 3, column 'v': expected a vector of 2 numbers .* found 1"):
        gather([[1.0, 2.0]], [[3.0, 4.0], [5.0]])
    with pytest.raises(DataError, match="column 'v': no row has a vector; leave the feature out"):
        gather([None]).finish()
    column = VectorColumn("v", Issues())
    with pytest.raises(DataError, match="row 1, column 'v': expected a list of numbers, found"):
        column.add(Rows("t.jsonl", 1, pa.record_batch([pa.array([["a", "b"]])], ["v"])))
