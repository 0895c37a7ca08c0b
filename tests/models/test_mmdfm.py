import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tfmmrec.models.mmdfm import MMDFM, build_mmdfm
from tfmmrec.search import PairScorer
from tfmmrec.types import UsageError

SMALL = {"dim": 3, "feature_dim": 6, "text_dim": 5, "image_size": 16, "hidden_dims": (7,)}


def build(**hyperparameters):
    return build_mmdfm(catalogue().schema, statistics(), **(SMALL | hyperparameters))


def test_the_score_is_the_paper_s():
    made = ready(ModelCase("mmdfm", "mmdfm", SMALL))
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    candidates, queries = made.vectors()
    rows = np.random.default_rng(0).integers(0, [[NUM_QUERIES], [NUM_CANDIDATES]], (2, 20))
    sizes = len(made.model.query_tower.encoders), len(made.model.candidate_tower.encoders)
    assert sizes == (5, 8)
    sides = [
        parts[:, : 4 * size].reshape(20, size, 4)
        for parts, size in zip((queries[rows[0]], candidates[rows[1]]), sizes, strict=True)
    ]
    fields = np.concatenate(sides, axis=1)  # [20, 13, 3 + 1]
    vectors, weights = fields[:, :, :3], fields[:, :, 3]
    expected = weights.sum(axis=1)
    for f in range(13):
        for g in range(f + 1, 13):
            expected = expected + (vectors[:, f] * vectors[:, g]).sum(axis=1)
    hidden, last = made.model.scorer.network.hidden[0], made.model.scorer.network.output_layer
    x = np.maximum(vectors.reshape(20, 39) @ hidden.kernel.numpy() + hidden.bias.numpy(), 0.0)
    expected = expected + (x @ last.kernel.numpy() + last.bias.numpy())[:, 0]  # w_0 is the last bias
    found = PairScorer(made.model, queries, candidates).pairs(*rows)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_what_is_absent_adds_nothing():
    made = ready(ModelCase("mmdfm", "mmdfm", SMALL))
    candidates, _ = made.vectors()
    place = sorted(made.model.candidate_tower.encoders).index("title")
    assert not candidates[0, 4 * place : 4 * place + 4].any()  # the first candidate has no title
    assert candidates[1, 4 * place : 4 * place + 4].all()


def test_numbers_arrive():
    model = build(num_negatives=3, num_drawn=20, dropout=0.25, loss="softmax", query_id=False)
    assert (model.num_negatives, model.negative_sampler.num_negatives) == (3, 20)
    network = model.scorer.network
    assert (network.hidden_dims, network.dropout, network.use_bias) == ((7,), 0.25, False)
    assert "id" not in model.query_tower.encoders and model.scorer.num_query_fields == 4


def test_the_scorer_comes_back_from_its_config():
    scorer = MMDFM(2, 3, (4,), 0.5, False, name="scorer")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(scorer))
    assert type(again) is MMDFM and again.get_config() == scorer.get_config()


def test_a_size_below_one_is_refused():
    with pytest.raises(UsageError, match="mmdfm's dim must be at least 1, got 0"):
        build(dim=0)
