"""Full-corpus metrics on held-out interactions after an epoch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.data.dataset import Interactions
from tfmmrec.embedding import Embedder
from tfmmrec.evaluation import Scorer, quick_metrics, vectors_scorer
from tfmmrec.search.pair_scorer import PairScorer


class Validation(tf.keras.callbacks.Callback):
    """Adds `val_recall@k` and `val_ndcg@k` to the logs: all candidates ranked, seen ones left out.

    A ranking model scores every pair of the queries that are validated and all candidates.

    Args:
        embedder: embeds with the model as it is.
        train: what was trained on: left out of the ranking, and the source of histories.
        valid: the held-out interactions.
        ks: cut-offs.
        every: epochs between two validations; the last epoch has one in any case.
        max_queries: validates on a seeded choice of so many queries when there are more.
        max_pairs: the same for a ranking model, by the pairs it has to score.
        seed: of that choice.

    Raises:
        FloatingPointError: the model has diverged.
    """

    def __init__(
        self,
        embedder: Embedder,
        train: Interactions,
        valid: Interactions,
        ks: tuple[int, ...] = (20,),
        every: int = 1,
        max_queries: int = 20_000,
        max_pairs: int = 20_000_000,
        seed: int = 0,
    ):
        super().__init__()
        self.embedder = embedder
        self.train = train
        self.ks = ks
        self.every = every
        self._ranks = getattr(getattr(embedder, "model", None), "kind", "retrieval") == "ranking"
        if self._ranks:
            max_queries = min(max_queries, max(1, max_pairs // max(valid.num_candidates, 1)))
        queries = np.flatnonzero(np.diff(valid.indptr) > 0)
        if queries.size > max_queries:
            queries = np.sort(np.random.default_rng(seed).choice(queries, max_queries, replace=False))
        self.queries = queries
        self.valid = valid
        self._pair_scorer: PairScorer | None = None

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every and epoch + 1 != self.params["epochs"]:
            return
        candidates = self.embedder.candidates()
        own = self.embedder.queries(self.queries, candidates, self.train)
        if not (np.isfinite(candidates).all() and np.isfinite(own).all()):
            raise FloatingPointError(f"vectors are no longer finite in epoch {epoch + 1}; lower the learning rate")
        vectors = np.zeros((self.valid.num_queries, own.shape[1]), np.float32)
        vectors[self.queries] = own
        scorer = self._pairs(vectors, candidates, epoch) if self._ranks else vectors_scorer(vectors, candidates)
        metrics = quick_metrics(scorer, self.train, self.valid, self.ks, query_rows=self.queries)
        for name, value in metrics.items():
            logs[f"val_{name}"] = float(value)

    def _pairs(self, queries: np.ndarray, candidates: np.ndarray, epoch: int) -> Scorer:
        if self._pair_scorer is None:  # its graph serves every epoch
            self._pair_scorer = PairScorer(self.embedder.model, queries, candidates)
        scorer = self._pair_scorer = self._pair_scorer.with_parts(queries, candidates)

        def score(rows: np.ndarray) -> np.ndarray:
            scores = scorer(rows)
            if not np.isfinite(scores).all():
                raise FloatingPointError(f"scores are no longer finite in epoch {epoch + 1}; lower the learning rate")
            return scores

        return score
