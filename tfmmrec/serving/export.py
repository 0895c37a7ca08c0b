"""From a finished run to a model that TensorFlow Serving loads.

TARGET/
  saved_model.pb          the graph: every signature of `signatures`
  fingerprint.pb
  variables/              the weights that the signatures read, and the index: nothing twice, nothing of training
  assets/                 files of pretrained encoders, where there are any
  assets.extra/           for people and clients, see `assets`
    model.json  schema.json  signatures.json  size.json  metrics.json  candidates.parquet
    tf_serving_warmup_requests

TARGET appears whole or not at all, see `paths`. To publish it, let it lie as NAME/VERSION, VERSION being a number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfmmrec.data.dataset import Dataset
from tfmmrec.runs import Run, load_run
from tfmmrec.serving.assets import write_assets
from tfmmrec.serving.index import candidate_index, content_sample, known_histories
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.paths import is_remote, writing
from tfmmrec.serving.signatures import ServedModel
from tfmmrec.serving.warmup import write_warmup
from tfmmrec.types import UsageError
from tfmmrec.zoo import ZOO

Progress = Callable[[str, int, int], None]


def export_run(
    run: str | Path | Run,
    to: str | Path | None = None,
    dataset: str | Path | Dataset | None = None,
    progress: Progress | None = None,
    lengths: ListLengths | None = None,
) -> Path | str:
    """Writes a run's model with its signatures and the index of a dataset's candidates.

    Args:
        run: the folder of a finished run, or the run itself.
        to: where to; RUN/export when None. It may be a path that `tf.io.gfile` understands, such as gs://...
        dataset: whose candidates are indexed, as a folder or loaded; the one the run was trained on when None.
        progress: called with (what, rows done, rows in all).
        lengths: of the list inputs; the history's is the model's own unless given.

    Returns:
        The exported model's folder.

    Raises:
        UsageError: the run of a ranking model, which has no vectors to index; or the target holds something that is no
            export, or cannot be written.
        DataError: not a finished run, or its dataset cannot be read.
    """
    where = run.path if isinstance(run, Run) else Path(run)
    target = str(to if to is not None else where / "export")
    if not isinstance(run, Run) or _is_mirrored(run):
        run = load_run(where)
    if ZOO[run.config.model].kind != "retrieval":
        raise UsageError(
            f"{where}: {run.config.model} is a ranking model, and only retrieval models are exported; export the run "
            "of the retriever whose candidates it orders"
        )
    with writing(target) as folder:
        if not isinstance(dataset, Dataset):
            dataset = run.load_dataset(dataset)
        served = serve_run(run, dataset, progress, lengths)
        tf.saved_model.save(served, str(folder), signatures=served.signatures_to_save)
        write_assets(folder, run, dataset.candidates, served)
        write_warmup(folder, served, dataset, run.config.options.get("seed", 0))
    return target if is_remote(target) else Path(target)


def _is_mirrored(run: Run) -> bool:
    """Whether the model is spread over replicas: a graph captures the variables of one of them only."""
    return any(isinstance(variable, tf.distribute.DistributedValues) for variable in run.model.variables)


def serve_run(
    run: Run, dataset: Dataset, progress: Progress | None = None, lengths: ListLengths | None = None
) -> ServedModel:
    """A run's model with its signatures and an index, in memory; see `export_run`."""
    schema = run.config.data_schema
    embedder = run.embedder(dataset, progress)
    vectors = embedder.candidates()
    index = candidate_index(dataset, schema.candidates.features, vectors, embedder.history_vectors())
    if lengths is None:
        history = run.history_length or (schema.queries.history.length if schema.queries.history else 0)
        lengths = ListLengths(**({"history": history} if history else {}))
    histories = known_histories(dataset, lengths.history, run.config.options.get("seed", 0))
    sample = content_sample(run.model, embedder.candidate_tables, len(dataset.candidates))
    return ServedModel(run.model, index, histories, sample, schema, run.statistics, lengths)
