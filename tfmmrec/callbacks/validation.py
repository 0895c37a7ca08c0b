"""Full-corpus metrics on held-out interactions after an epoch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.data.dataset import Interactions
from tfmmrec.embedding import Embedder
from tfmmrec.evaluation import quick_metrics, vectors_scorer


class Validation(tf.keras.callbacks.Callback):
    """Adds `val_recall@k` and `val_ndcg@k` to the logs: all candidates ranked, seen ones left out.

    Args:
        embedder: embeds with the model as it is.
        train: what was trained on: left out of the ranking, and the source of histories.
        valid: the held-out interactions.
        ks: cut-offs.
        every: epochs between two validations; the last epoch has one in any case.
        max_queries: validates on a seeded choice of so many queries when there are more.
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
        seed: int = 0,
    ):
        super().__init__()
        self.embedder = embedder
        self.train = train
        self.ks = ks
        self.every = every
        queries = np.flatnonzero(np.diff(valid.indptr) > 0)
        if queries.size > max_queries:
            queries = np.sort(np.random.default_rng(seed).choice(queries, max_queries, replace=False))
        self.queries = queries
        self.valid = valid

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every and epoch + 1 != self.params["epochs"]:
            return
        candidates = self.embedder.candidates()
        vectors = np.zeros((self.valid.num_queries, candidates.shape[1]), np.float32)
        vectors[self.queries] = self.embedder.queries(self.queries, candidates, self.train)
        if not (np.isfinite(candidates).all() and np.isfinite(vectors).all()):
            raise FloatingPointError(f"vectors are no longer finite in epoch {epoch + 1}; lower the learning rate")
        metrics = quick_metrics(
            vectors_scorer(vectors, candidates), self.train, self.valid, self.ks, query_rows=self.queries
        )
        for name, value in metrics.items():
            logs[f"val_{name}"] = float(value)
