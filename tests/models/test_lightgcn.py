import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tests.models.whole_graph import propagated
from tfmmrec.models.lightgcn import build_lightgcn
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16}


def build(**hyperparameters):
    return build_lightgcn(catalogue().schema, statistics(), **(SMALL | hyperparameters))


@pytest.mark.parametrize("options", [{"num_layers": 3}, {"loss": "full_softmax"}])
def test_towers_give_what_the_whole_graph_gives(options):
    made = ready(ModelCase("lightgcn", "lightgcn", SMALL | options))
    made.fit(2)
    train, model = catalogue().train, made.model
    adjacency = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    for query in range(NUM_QUERIES):
        adjacency[query, train.candidates_of(query)] = 1.0
    known = train.counts() > 0
    own = [tower.encoders["id"].embeddings.numpy() for tower in (model.query_tower, model.candidate_tower)]
    queries, candidates = propagated(adjacency[:, known], *own, options.get("num_layers", 2))
    if model.normalize:
        queries, candidates = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, candidates))
    found_candidates, found_queries = made.vectors()
    np.testing.assert_allclose(found_candidates[known], candidates, rtol=1e-4, atol=1e-5)
    # histories have four entries in the schema, and as many as the longest needs in this model
    assert model.query_tower.encoders["history"].length == adjacency.sum(axis=1).max() > 4
    np.testing.assert_allclose(found_queries, queries, rtol=1e-4, atol=1e-5)


def test_a_query_outside_the_graph_is_its_history_s_and_without_one_it_is_zero():
    made = ready(ModelCase("lightgcn", "lightgcn", SMALL))
    made.fit(1)
    table = made.embedder.history_vectors()
    inputs = {"id": {"row": tf.constant([-1, -1])}, "history": {"rows": tf.constant([[3, 7, -1], [-1, -1, -1]])}}
    found = made.model.embed_queries(inputs, tf.constant(table))
    np.testing.assert_allclose(found, [(table[3] + table[7]) / 2**0.5, np.zeros(5)], rtol=1e-4, atol=1e-6)


def test_a_candidate_outside_the_graph_has_vectors_by_its_content():
    made = ready(ModelCase("lightgcn", "lightgcn", SMALL))
    made.fit(1)
    cold = catalogue().train.counts() == 0
    assert cold.sum() >= 6 and set(made.model.candidate_tower.encoders) == {"id", "title", "photo", "look"}
    for vectors in (made.embedder.candidates(), made.embedder.history_vectors()):
        assert (np.abs(vectors[cold]).max(axis=1) > 0).all()


def test_defaults_follow_the_loss():
    model = build()
    assert model.loss_name == "bpr" and not model.normalize and model.temperature == 1.0
    model = build(loss="full_softmax")
    assert model.query_tower.normalize and model.normalize and model.temperature == 0.2
    assert not build(loss="full_softmax", normalize=False).query_tower.normalize


def test_histories_are_no_longer_than_allowed():
    assert build(max_history=5).query_tower.encoders["history"].length == 5
    assert build(max_history=2).query_tower.encoders["history"].length == 4  # the schema's


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1"),
        ({"loss": "hinge"}, "loss must be one of bpr, full_softmax"),
        ({"max_history": 0}, "dim and max_history must be at least 1"),
        ({"temperature": 0.0}, "temperature must be positive"),
    ],
)
def test_what_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        build(**wrong)
