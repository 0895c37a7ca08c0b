"""A model of songs, served in memory and exported, once for all tests of this folder, which leave it as it is."""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.graphs import _graphs_as_saved  # noqa: F401
from tests.serving.catalogue import songs, untrained_run
from tests.serving.tables import first_candidates


@pytest.fixture(scope="session")
def export_once(tmp_path_factory) -> Callable[..., Path]:
    """`export_once(name, run, dataset, ...)`: what `export_run` writes, once for all of pytest's processes."""
    from tfmmrec.serving.export import export_run

    base = tmp_path_factory.getbasetemp()
    exports = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exports"
    exports.mkdir(exist_ok=True)

    def export(name: str, run, dataset, **options) -> Path:
        with open(exports / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits, and finds it made
            folder = exports / name
            return folder if folder.exists() else export_run(run, folder, dataset, **options)

    return export


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
def exported(song_run, song_dataset, export_once):
    return export_once("songs", song_run, song_dataset)


@pytest.fixture(scope="session")
def loaded(exported):
    """The exported songs, for whoever asks and changes nothing."""
    from tfmmrec.serving.exported_model import load_exported

    return load_exported(exported)


@pytest.fixture(scope="session")
def smaller_export(song_run, song_dataset, export_once):
    """The same without the last four songs, of the run's folder."""
    return export_once("smaller", song_run.path, first_candidates(song_dataset, 26))


@pytest.fixture(scope="session")
def loaded_smaller(smaller_export):
    """The same as `loaded`."""
    from tfmmrec.serving.exported_model import load_exported

    return load_exported(smaller_export)


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
def exported_cascade(ranking_run, song_run, song_dataset, export_once):
    return export_once("cascade", ranking_run, song_dataset, retriever=song_run)


@pytest.fixture(scope="session")
def loaded_cascade(exported_cascade):
    """The same as `loaded`."""
    from tfmmrec.serving.exported_model import load_exported

    return load_exported(exported_cascade)


@pytest.fixture(scope="session")
def exported_ranker(ranking_run, song_dataset, export_once):
    """The ranking model alone."""
    return export_once("ranking", ranking_run, song_dataset)


@pytest.fixture(scope="session")
def song_server(exported, tmp_path_factory):
    """A development server of the exported songs, version 3, its graph as saved; `told` is what it reported."""
    import tensorflow as tf

    from tfmmrec.serving.development_server import DevelopmentServer, ServerOptions, model_version

    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    session = functools.partial(tf.compat.v1.Session, config=config)

    folder = tmp_path_factory.mktemp("served") / "songs"
    folder.mkdir()
    (folder / "3").symlink_to(exported, target_is_directory=True)
    told: list[str] = []
    server = DevelopmentServer(folder, options=ServerOptions(port=0, grpc_port=0), report=told.append)
    server.told = told
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_version.tf.compat.v1, "Session", session)
        server.start()
    yield server
    server.stop()
