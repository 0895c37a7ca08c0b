import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tests.models.modality_graph import propagated, weights_of
from tfmmrec.models.mmgcn import build_mmgcn
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16}


def build(**hyperparameters):
    return build_mmgcn(catalogue().schema, statistics(), **(SMALL | hyperparameters))


@pytest.mark.parametrize("options", [{}, {"num_layers": 3, "combination": "concat", "loss": "full_softmax"}])
def test_towers_give_what_the_whole_graph_gives(options):
    made = ready(ModelCase("mmgcn", "mmgcn", SMALL | options))
    made.fit(2)
    train, model = catalogue().train, made.model
    adjacency = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    for query in range(NUM_QUERIES):
        adjacency[query, train.candidates_of(query)] = 1.0
    known = train.counts() > 0
    own = [tower.encoders["id"].embeddings.numpy() for tower in (model.query_tower, model.candidate_tower)]
    content = {name: vectors.numpy() for name, vectors in model.candidate_tower.fusion.content.items()}
    assert set(content) == {"title", "photo", "look"}
    queries, candidates = propagated(adjacency[:, known], *own, content, weights_of(model.propagation))
    if model.normalize:
        queries, candidates = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, candidates))
    found_candidates, found_queries = made.vectors()
    np.testing.assert_allclose(found_candidates[known], candidates, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_queries, queries, rtol=1e-4, atol=1e-5)


def test_a_query_outside_the_graph_is_a_node_that_sees_its_history_and_is_not_seen():
    made = ready(ModelCase("mmgcn", "mmgcn", SMALL))
    made.fit(1)
    model, table = made.model, made.embedder.history_vectors()
    past = [3, 17]
    inputs = {"id": {"row": tf.constant([-1, -1])}, "history": {"rows": tf.constant([[3, 17, -1], [-1, -1, -1]])}}
    found = made.model.embed_queries(inputs, tf.constant(table)).numpy()
    # x^(0) and x^(1) of its two candidates are what the graph has without it; the query's own embeddings are zero
    means = table[past].mean(axis=0)[:-1].reshape(2, 3, 5)  # [layer, modality, dim]
    expected = np.zeros(5)
    for place, (_, layers) in enumerate(weights_of(model.propagation)):
        vector = np.zeros(5)
        for mean, (first, second, third) in zip(means[:, place], layers, strict=True):
            leaky = [np.where(values > 0, values, 0.01 * values) for values in (mean @ first, vector @ second)]
            vector = leaky[0] @ third + leaky[1]
            vector = np.where(vector > 0, vector, 0.01 * vector)
        expected += vector
    np.testing.assert_allclose(found, [expected, np.zeros(5)], rtol=1e-4, atol=1e-6)


def test_a_candidate_outside_the_graph_has_vectors_by_its_content():
    made = ready(ModelCase("mmgcn", "mmgcn", SMALL))
    made.fit(1)
    cold = catalogue().train.counts() == 0
    assert cold.sum() >= 6
    for vectors in (made.embedder.candidates(), made.embedder.history_vectors()):
        assert (np.abs(vectors[cold]).max(axis=1) > 0).all()
    # a mean of means counts as many: what turns sums into means is the neighbours' mean of ones
    np.testing.assert_allclose(made.embedder.history_vectors()[:, -1], 1.0, rtol=1e-5)


def test_defaults_follow_the_loss():
    assert build().loss_name == "bpr" and not build().normalize and build().temperature == 1.0
    model = build(loss="full_softmax")
    assert model.query_tower.normalize and model.normalize and model.temperature == 0.2


def test_candidates_without_content_are_refused():
    schema = catalogue().schema
    features = {name: feature for name, feature in schema.candidates.features.items() if feature.kind == "category"}
    candidates = schema.candidates.model_copy(update={"features": features})
    with pytest.raises(UsageError, match="mmgcn needs candidates with a text, .* or vector, this dataset has none"):
        build_mmgcn(schema.model_copy(update={"candidates": candidates}), statistics())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1"),
        ({"combination": "max"}, "combination must be one of sum, concat"),
        ({"loss": "hinge"}, "loss must be one of bpr, full_softmax"),
        ({"dim": 0}, "dim must be at least 1"),
    ],
)
def test_what_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        build(**wrong)
