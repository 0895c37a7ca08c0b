"""A model of songs, served in memory and exported, once for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.serving.catalogue import songs, untrained_run


@pytest.fixture(scope="session")
def song_dataset():
    return songs()


@pytest.fixture(scope="session")
def song_run(song_dataset, tmp_path_factory):
    return untrained_run(song_dataset, tmp_path_factory.mktemp("runs") / "songs")


@pytest.fixture(scope="session")
def served(song_run, song_dataset):
    from tfmmrec.serving.export import serve_run

    return serve_run(song_run, song_dataset)


@pytest.fixture(scope="session")
def exported(song_run, song_dataset, tmp_path_factory):
    from tfmmrec.serving.export import export_run

    return export_run(song_run, tmp_path_factory.mktemp("exports") / "songs", song_dataset)
