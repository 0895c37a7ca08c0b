import numpy as np
import pytest

from tfmmrec.data import storage
from tfmmrec.data.storage import allocate, release


@pytest.mark.parametrize("limit", [0, 2**30])
def test_arrays_on_disk_and_in_memory_behave_alike(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(storage, "IN_MEMORY_BYTES", limit)
    array = allocate((1000, 3), np.float32, tmp_path / "new")
    assert array.shape == (1000, 3) and array.dtype == np.float32 and not array.any()
    array[500] = [1, 2, 3]
    release(array)
    assert array[500].tolist() == [1, 2, 3]
    assert isinstance(array, np.memmap) == (limit == 0)


def test_no_file_is_left_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "IN_MEMORY_BYTES", 0)
    array = allocate(10, np.int32, tmp_path)
    assert not list(tmp_path.iterdir())
    array[:] = 7
    assert array.sum() == 70


def test_an_array_without_rows(tmp_path):
    assert allocate(0, np.int32, tmp_path).size == 0
