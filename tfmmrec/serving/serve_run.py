"""From a finished run to its signatures in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfmmrec.data.dataset import Dataset
from tfmmrec.runs import Run
from tfmmrec.search.candidate_parts import CandidateParts
from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving.index import candidate_index, content_sample, known_histories
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.served_ranker import ServedRanker
from tfmmrec.serving.signatures import ServedModel

Progress = Callable[[str, int, int], None]
_MEASURED_QUERIES = 500


def serve_run(
    run: Run,
    dataset: Dataset,
    progress: Progress | None = None,
    lengths: ListLengths | None = None,
    retriever: Run | None = None,
    index: IndexSettings | None = None,
) -> ServedModel | ServedRanker:
    """A run's model with its signatures and an index, in memory; see `export_run` for the arguments."""
    lengths = lengths or _lengths(run, retriever)
    if run.kind == "ranking" and retriever is None:
        return _ranker_alone(run, dataset, progress, lengths)
    first = run if retriever is None else retriever
    schema, seed = first.config.data_schema, first.config.options.get("seed", 0)
    embedder = first.embedder(dataset, progress)
    behind = {}
    if retriever is not None:
        behind = {"ranker": run.model, "ranker_histories": _other_histories(run, retriever, dataset, lengths)}
    vectors, history_vectors = embedder.candidates(), embedder.history_vectors()
    parts = None if retriever is None else run.embedder(dataset, progress).candidates()

    def queries() -> np.ndarray:
        rows = np.random.default_rng(seed).permutation(len(dataset.queries))[:_MEASURED_QUERIES]
        return embedder.queries(np.sort(rows), vectors, dataset.train)

    tables = vectors, history_vectors, parts
    found, described = candidate_index(dataset, schema.candidates.features, *tables, index, queries, seed)
    histories = known_histories(dataset, _read_length(first, lengths), seed)
    sample = content_sample(first.model, embedder.candidate_tables, len(dataset.candidates))
    served = ServedModel(first.model, found, histories, sample, schema, first.statistics, lengths, **behind)
    served.describe_index(described)
    return served


def _ranker_alone(run: Run, dataset: Dataset, progress: Progress | None, lengths: ListLengths) -> ServedRanker:
    ids, parts = [], np.zeros([0, 1], np.float32)
    histories = QueryHistories([], np.zeros(1, np.int64), np.zeros(0, np.int64), [])
    if run.history_length:  # else nothing reads them
        ids, parts = dataset.candidates.ids.to_pylist(), run.embedder(dataset, progress).candidates()
        histories = known_histories(dataset, _read_length(run, lengths), run.config.options.get("seed", 0))
    schema = run.config.data_schema
    return ServedRanker(run.model, CandidateParts(ids, parts), histories, schema, run.statistics, lengths)


def _lengths(run: Run, retriever: Run | None) -> ListLengths:
    described = run.config.data_schema.queries.history
    own = max(part.history_length for part in (run, retriever) if part is not None)
    history = own or (described.length if described else 0)
    return ListLengths(**({"history": history} if history else {}))


def _read_length(run: Run, lengths: ListLengths) -> int:
    """How much of a known query's history a model reads, as it was evaluated with: no more than requests can send."""
    return min(run.history_length or lengths.history, lengths.history)


def _other_histories(run: Run, retriever: Run, dataset: Dataset, lengths: ListLengths) -> QueryHistories | None:
    """What known queries chose as the ranker was evaluated with, where it is not the retriever's in the same order."""
    own, first = (_read_length(part, lengths) for part in (run, retriever))
    seeds = [part.config.options.get("seed", 0) for part in (run, retriever)]
    is_timed = "timestamp" in dataset.train.columns  # then the newest are kept, whatever the length and the seed
    if not run.history_length or is_timed or (own == first and seeds[0] == seeds[1]):
        return None
    return known_histories(dataset, own, seeds[0])
