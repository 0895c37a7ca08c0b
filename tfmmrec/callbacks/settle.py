"""What a model computes in closed form: from the interactions before the first step, and after every epoch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmmrec.data.dataset import Interactions
from tfmmrec.embedding import Embedder


class Settle(tf.keras.callbacks.Callback):
    """Gives a `LinearBlend` its factors and what content says of them; after every epoch fits what they count.

    Where training changes the content that they are predicted from, that is fitted after every epoch too.

    Args:
        embedder: embeds with the model as it is.
        interactions: what is trained on, and the histories.
        max_queries: the scale is fitted on a seeded choice of so many queries that have a history.
        seed: of that choice.
    """

    def __init__(self, embedder: Embedder, interactions: Interactions, max_queries: int = 1000, seed: int = 0):
        super().__init__()
        self.embedder = embedder
        self.interactions = interactions
        queries = np.flatnonzero(np.diff(interactions.indptr) > 0)
        if queries.size > max_queries:
            queries = np.sort(np.random.default_rng(seed).choice(queries, max_queries, replace=False))
        self.queries = queries

    def on_train_begin(self, logs=None):
        self.embedder.model.set_interactions(self.interactions)
        self.embedder.model.fit_content()

    def on_epoch_end(self, epoch, logs=None):
        if self.embedder.model.content_changes:
            self.embedder.model.fit_content()
        candidates = self.embedder.candidates()
        queries = self.embedder.queries(self.queries, candidates, self.interactions)
        self.embedder.model.fit_scale(queries, candidates)


def settling(model, embedder: Embedder, interactions: Interactions) -> list[tf.keras.callbacks.Callback]:
    """The callback that a model needs before its validation, if any: `Settle`, or what keeps a graph's tables."""
    if model.needs_graph:
        return [tf.keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.materialize())]
    return [Settle(embedder, interactions)] if model.settles else []
