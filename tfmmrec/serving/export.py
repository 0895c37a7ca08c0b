"""From a finished run to a model that TensorFlow Serving loads.

TARGET/
  saved_model.pb          the graph: every signature of `signatures`
  fingerprint.pb
  variables/              the weights that the signatures read, and the index: nothing twice, nothing of training
  assets/                 files of pretrained encoders, where there are any
  assets.extra/           for people and clients, see `assets`
    model.json  schema.json  signatures.json  size.json  metrics.json  candidates.parquet  evaluation.parquet
    tf_serving_warmup_requests

TARGET appears whole or not at all, see `paths`. `push` makes one of the versions under a name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfmmrec.data.dataset import Dataset
from tfmmrec.runs import Run, check_retriever, load_run
from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.search.scann_ops import save_options
from tfmmrec.serving.assets import write_assets
from tfmmrec.serving.evaluation_queries import evaluation_queries, has_evaluation_queries, write_evaluation
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.paths import is_remote, writing
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.serving.served_signatures import ServedSignatures
from tfmmrec.serving.warmup import write_warmup
from tfmmrec.types import UsageError

Progress = Callable[[str, int, int], None]


def export_run(
    run: str | Path | Run,
    to: str | Path | None = None,
    dataset: str | Path | Dataset | None = None,
    progress: Progress | None = None,
    lengths: ListLengths | None = None,
    retriever: str | Path | Run | None = None,
    evaluation: bool = True,
    index: IndexSettings | None = None,
) -> Path | str:
    """Writes a run's model with its signatures and the index of a dataset's candidates.

    A ranking model alone scores the pairs that it is sent. Behind a retriever it orders the best 200 of what that has
    found, and everything a retrieval model answers is answered.

    Args:
        run: the folder of a finished run, or the run itself.
        to: where to; RUN/export when None. It may be a path that `tf.io.gfile` understands, such as gs://...
        dataset: whose candidates are indexed, as a folder or loaded; the one the run was trained on when None.
        progress: called with (what, rows done, rows in all).
        lengths: of the list inputs; the history's is the model's own unless given.
        retriever: a finished run of a retrieval model, or its folder, trained on the same data; for a run of a ranking
            model only.
        evaluation: take up to 2,000 queries of the test along, with their features, histories and positives, so that
            the model can be measured where its dataset is not; see `evaluation_queries`. A ranking model alone takes
            none.
        index: what kind of index, and of which size; `auto` when None. A ranking model alone has none.

    Returns:
        The exported model's folder.

    Raises:
        UsageError: a retriever where there is nothing for it to do, or that is none; or the target holds something
            that is no export, or cannot be written.
        DataError: not a finished run, its dataset cannot be read, or the retriever was trained on other data.
    """
    where = run.path if isinstance(run, Run) else Path(run)
    target = str(to if to is not None else where / "export")
    run = _alone(run)
    if retriever is not None:
        retriever = _alone(retriever)
        check_retriever(run, retriever)
    elif run.kind == "ranking" and index is not None and index.kind != "auto":
        raise UsageError(
            f"a ranking model alone scores pairs and has no index, so it cannot be {index.kind}: name a retriever "
            "(--retriever RUN), or leave the kind of index out"
        )
    with writing(target) as folder:
        if not isinstance(dataset, Dataset):
            dataset = run.load_dataset(dataset)
        served = serve_run(run, dataset, progress, lengths, retriever, index)
        tf.saved_model.save(
            served, str(folder), signatures=served.signatures_to_save, options=save_options(served.index_description)
        )
        write_assets(folder, run, dataset.candidates, served, retriever)
        if evaluation:
            _write_evaluation(folder, run if retriever is None else retriever, dataset, served)
        write_warmup(folder, served, dataset, run.config.options.get("seed", 0))
    return target if is_remote(target) else Path(target)


def _write_evaluation(folder: Path, first: Run, dataset: Dataset, served: ServedSignatures) -> None:
    if "recommend" not in served.signatures_to_save or not has_evaluation_queries(dataset):
        return
    sent = served.inputs("recommend")["history"].spec.shape[1]
    length = min(first.history_length or sent, sent)
    write_evaluation(
        folder, evaluation_queries(dataset, seed=first.config.options.get("seed", 0), history_length=length)
    )


def _alone(run: str | Path | Run) -> Run:
    """The run with its model on one device: of a model that is spread over replicas a graph captures the variables of
    one of them only.
    """
    if not isinstance(run, Run):
        return load_run(run)
    mirrored = any(isinstance(variable, tf.distribute.DistributedValues) for variable in run.model.variables)
    return load_run(run.path) if mirrored else run
