import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tfmmrec.models.ranker import Ranker, build_ranker
from tfmmrec.search import PairScorer
from tfmmrec.types import UsageError

SMALL = {"dim": 3, "feature_dim": 6, "text_dim": 5, "image_size": 16, "hidden_dims": (7,)}


def build(**hyperparameters):
    return build_ranker(catalogue().schema, statistics(), **(SMALL | hyperparameters))


def test_the_score_is_the_network_s_over_vectors_product_and_features():
    made = ready(ModelCase("ranker", "ranker", SMALL))
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    candidates, queries = made.vectors()
    rows = np.random.default_rng(0).integers(0, [[NUM_QUERIES], [NUM_CANDIDATES]], (2, 20))
    names = sorted(made.model.query_tower.encoders), sorted(made.model.candidate_tower.encoders)
    fused, features = [], []
    for parts, fields in zip((queries[rows[0]], candidates[rows[1]]), names, strict=True):
        vectors, present = parts[:, : 3 * len(fields)].reshape(20, -1, 3), parts[:, 3 * len(fields) :]
        assert set(np.unique(present)) <= {0.0, 1.0}
        fused.append(vectors.sum(axis=1))
        features += [vectors[:, i] for i, name in enumerate(fields) if name not in ("id", "history")] + [present]
    x = np.concatenate([*fused, fused[0] * fused[1], *features], axis=1)
    hidden, last = made.model.scorer.network.hidden[0], made.model.scorer.network.output_layer
    x = np.maximum(x @ hidden.kernel.numpy() + hidden.bias.numpy(), 0.0)
    expected = (x @ last.kernel.numpy() + last.bias.numpy())[:, 0]
    found = PairScorer(made.model, queries, candidates).pairs(*rows)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_beside_a_history_a_query_s_id_is_a_field_on_request_only():
    assert set(build().query_tower.encoders) == {"about", "age", "region", "history"}
    assert "id" in build(query_id=True).query_tower.encoders


def test_under_a_softmax_there_is_no_bias_which_it_could_not_train():
    assert build().scorer.network.use_bias and not build(loss="softmax").scorer.network.use_bias


def test_numbers_arrive():
    model = build(num_negatives=3, num_drawn=20, dropout=0.25)
    assert (model.num_negatives, model.negative_sampler.num_negatives) == (3, 20)
    assert (model.scorer.network.hidden_dims, model.scorer.network.dropout) == ((7,), 0.25)


def test_the_scorer_comes_back_from_its_config():
    scorer = Ranker(["history"], ["id", "look"], (4,), 0.5, False, name="scorer")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(scorer))
    assert type(again) is Ranker and again.get_config() == scorer.get_config()
    assert (again.query_fields, again.candidate_fields) == (("history",), ("id", "look"))


def test_an_unknown_loss_is_refused():
    with pytest.raises(UsageError, match="must be one of pointwise, softmax, got 'bpr'"):
        build(loss="bpr")
