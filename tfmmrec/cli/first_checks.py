"""What a command can refuse before TensorFlow is imported, which takes seconds."""

from __future__ import annotations

from pathlib import Path


def check_run(run: Path, retriever: Path | None = None, dataset: Path | None = None) -> None:
    """Refuses what is no finished run, and a folder that is no dataset's.

    Args:
        run: a run's folder.
        retriever: that of another run, where one is named.
        dataset: a folder that stands for the one that the run was trained on, where one is named.

    Raises:
        DataError: no run, not finished, or no dataset's folder.
    """
    from tfmmrec.data.config import read_schema
    from tfmmrec.run_config import read_finished

    config = read_finished(run)
    if retriever is not None:
        read_finished(retriever)
    if dataset is not None:
        read_schema(dataset, config.dataset_config)
