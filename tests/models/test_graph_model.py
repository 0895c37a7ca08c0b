import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import ModelCase, catalogue, ready, statistics
from tfmmrec.models.light_propagation import LightPropagation
from tfmmrec.models.lightgcn import build_lightgcn
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16}


def made(**options):
    return ready(ModelCase("lightgcn", "lightgcn", SMALL | options))


def parts(ready):
    """A batch; the vectors of its queries, of their candidates and of all the known, and the embeddings."""
    model = ready.model
    model.materialize()
    batch = ready.stream.batch(0)
    known = np.flatnonzero(catalogue().train.counts() > 0)
    candidates, queries = ready.vectors()
    query_rows = batch["query"]["id"]["row"]
    positives = np.searchsorted(known, batch["candidate_rows"][batch["positive"]])
    own = [tower.encoders["id"].embeddings.numpy() for tower in (model.query_tower, model.candidate_tower)]
    return batch, queries[query_rows], candidates[known], positives, own[0][query_rows], own[1]


def half_square(vectors):
    return 0.5 * (vectors**2).sum(axis=1)


def test_full_softmax():
    ready = made(loss="full_softmax", l2=0.1)
    batch, queries, table, positives, query_ids, candidate_ids = parts(ready)
    logits = queries @ table.T / 0.2
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), positives]
    expected += 0.1 * (half_square(query_ids) + half_square(candidate_ids[positives]))
    found = ready.model.compute_loss(tf.nest.map_structure(tf.constant, batch), training=True)
    np.testing.assert_allclose(found, expected.mean(), rtol=1e-4)


def test_bpr():
    ready = made(num_negatives=7, l2=0.1)
    batch, queries, table, positives, query_ids, candidate_ids = parts(ready)
    known = np.flatnonzero(catalogue().train.counts() > 0)
    drawn = np.searchsorted(known, ready.model.negative_sampler(training=False)[0].numpy())
    scores = queries @ table.T
    own = scores[np.arange(len(scores)), positives]
    losses = np.log1p(np.exp(scores[:, drawn] - own[:, None]))
    counts = drawn[None, :] != positives[:, None]
    expected = (losses * counts).sum(axis=1) / counts.sum(axis=1)
    squares = half_square(query_ids) + half_square(candidate_ids[positives]) + half_square(candidate_ids[drawn]).mean()
    found = ready.model.compute_loss(tf.nest.map_structure(tf.constant, batch), training=False)
    np.testing.assert_allclose(found, (expected + 0.1 * squares).mean(), rtol=1e-4)


def test_training_needs_a_graph_of_known_candidates():
    model = build_lightgcn(catalogue().schema, statistics(), **SMALL)
    model.build_towers()
    with pytest.raises(UsageError, match="call set_graph before training"):
        model.propagate()
    fewer = statistics().model_copy(update={"candidate_counts": [1] * 3 + [0] * 27})
    with pytest.raises(UsageError, match="candidates that candidate_counts say are in no interaction"):
        build_lightgcn(catalogue().schema, fewer, **SMALL).set_graph(catalogue().train)


class Noted(LightPropagation):
    """Has a weight for each number of content, and notes how it was called."""

    def __init__(self):
        super().__init__(SMALL["dim"], 1)
        self.seen, self.of_content = [], None

    def call(self, graph, queries, candidates, content=None, training=None):
        if self.of_content is None:
            self.of_content = {
                name: self.add_weight(name=name, shape=[vectors.shape[1], self.dim])
                for name, vectors in content.items()
            }
        self.seen.append((graph, content, training))
        for name, vectors in content.items():
            candidates = candidates + tf.matmul(vectors, self.of_content[name])
        return super().call(graph, queries, candidates)


def test_a_propagation_sees_content_and_its_weights_are_trained(monkeypatch):
    monkeypatch.setattr("tfmmrec.models.lightgcn.LightPropagation", lambda *args, **kwargs: Noted())
    ready = made()
    model, weights = ready.model, ready.model.propagation.trainable_weights  # made with the towers
    assert len(weights) == 3 and {id(weight) for weight in weights} <= {id(w) for w in model.trainable_weights}
    model.propagate()
    graph, content, training = model.propagation.seen[-1]
    assert graph is model._graph and training is False
    known = np.flatnonzero(catalogue().train.counts() > 0)
    sizes = {name: vectors.shape[0] for name, vectors in content.items()}
    assert sizes == dict.fromkeys(["look", "photo", "title"], len(known))
    lengths = np.linalg.norm(content["title"].numpy(), axis=1)
    assert known[0] == 0  # has no title
    np.testing.assert_allclose(lengths, [0.0] + [1.0] * (len(known) - 1), rtol=1e-5)
    before = [weight.numpy() for weight in weights]
    ready.fit(1)
    assert any(training is True for _, _, training in model.propagation.seen)
    assert all(np.abs(weight.numpy() - old).max() > 0 for weight, old in zip(weights, before, strict=True))


def test_tables_stay_as_they_were_until_they_are_made_anew():
    ready = made()
    ready.model.materialize()
    before = ready.embedder.candidates()
    for tower in (ready.model.query_tower, ready.model.candidate_tower):
        tower.encoders["id"].embeddings.assign_add(tf.ones_like(tower.encoders["id"].embeddings))
    np.testing.assert_array_equal(ready.embedder.candidates(), before)
    ready.model.materialize()
    assert np.abs(ready.embedder.candidates() - before).min() > 0
