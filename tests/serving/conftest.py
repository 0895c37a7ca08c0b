"""A model of songs, served in memory and exported, once for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.graphs import _graphs_as_saved  # noqa: F401
from tests.serving.catalogue import songs, untrained_run
from tests.serving.tables import first_candidates


@pytest.fixture(scope="session")
def song_dataset():
    return songs()


@pytest.fixture(scope="session")
def song_run(song_dataset, tmp_path_factory):
    return untrained_run(song_dataset, tmp_path_factory.mktemp("runs") / "songs")


@pytest.fixture(scope="session")
def served(song_run, song_dataset):
    from tfmmrec.serving.serve_run import serve_run

    return serve_run(song_run, song_dataset)


@pytest.fixture(scope="session")
def exported(song_run, song_dataset, tmp_path_factory):
    from tfmmrec.serving.export import export_run

    return export_run(song_run, tmp_path_factory.mktemp("exports") / "songs", song_dataset)


@pytest.fixture(scope="session")
def smaller_export(song_run, song_dataset, tmp_path_factory):
    """The same without the last four songs."""
    from tfmmrec.serving.export import export_run

    return export_run(song_run, tmp_path_factory.mktemp("exports") / "smaller", first_candidates(song_dataset, 26))


@pytest.fixture(scope="session")
def ranking_run(song_dataset, tmp_path_factory):
    """A ranking model of the songs."""
    return untrained_run(song_dataset, tmp_path_factory.mktemp("runs") / "ranking", "ranker")


@pytest.fixture(scope="session")
def cascade(ranking_run, song_run, song_dataset):
    """The ranking model behind the retrieval model."""
    from tfmmrec.serving.serve_run import serve_run

    return serve_run(ranking_run, song_dataset, retriever=song_run)


@pytest.fixture(scope="session")
def exported_cascade(ranking_run, song_run, song_dataset, tmp_path_factory):
    from tfmmrec.serving.export import export_run

    return export_run(ranking_run, tmp_path_factory.mktemp("exports") / "cascade", song_dataset, retriever=song_run)


@pytest.fixture(scope="session")
def exported_ranker(ranking_run, song_dataset, tmp_path_factory):
    """The ranking model alone."""
    from tfmmrec.serving.export import export_run

    return export_run(ranking_run, tmp_path_factory.mktemp("exports") / "ranking", song_dataset)


@pytest.fixture(scope="session")
def song_server(exported, tmp_path_factory):
    """A development server of the exported songs, version 3; `told` is what it reported."""
    from tfmmrec.serving.development_server import DevelopmentServer, ServerOptions

    folder = tmp_path_factory.mktemp("served") / "songs"
    folder.mkdir()
    (folder / "3").symlink_to(exported, target_is_directory=True)
    told: list[str] = []
    server = DevelopmentServer(folder, options=ServerOptions(port=0, grpc_port=0), report=told.append)
    server.told = told
    server.start()
    yield server
    server.stop()
