"""Large arrays that lie on disk, memory-mapped, so that memory stays flat."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path

import numpy as np

IN_MEMORY_BYTES = 4 * 2**20


def allocate(shape: int | tuple[int, ...], dtype, folder: Path | None = None) -> np.ndarray:
    """A zeroed array: in memory when it is small, else memory-mapped from a temporary file.

    The file is unlinked at once, so it lives as long as the array does and nothing is left behind by a killed
    process.

    Args:
        shape: of the array.
        dtype: of its entries.
        folder: where the file lies; the system's temporary folder when None.
    """
    shape = (shape,) if isinstance(shape, int) else shape
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY_BYTES:
        return np.zeros(shape, dtype)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="tfmmrec-", dir=folder) as file:
        return np.memmap(file.name, dtype, "w+", shape=shape)


def release(*arrays: np.ndarray) -> None:
    """Gives the memory of memory-mapped arrays back; their contents stay, on disk and in the page cache."""
    for array in arrays:
        mapping = getattr(array, "_mmap", None)
        if mapping is not None:
            mapping.madvise(mmap.MADV_DONTNEED)
