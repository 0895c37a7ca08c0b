import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tfmmrec.models.mmal import MMAL, build_mmal
from tfmmrec.search import PairScorer
from tfmmrec.types import UsageError

SMALL = {"dim": 4, "num_heads": 2, "feature_dim": 6, "text_dim": 5, "image_size": 16, "hidden_dims": (7,)}


def build(schema=None, **hyperparameters):
    return build_mmal(schema or catalogue().schema, statistics(), **(SMALL | hyperparameters))


def test_the_score_is_the_network_s_over_what_the_query_attends_to():
    made = ready(ModelCase("mmal", "mmal", SMALL))
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    candidates, queries = made.vectors()
    rows = np.random.default_rng(0).integers(0, [[NUM_QUERIES], [NUM_CANDIDATES]], (2, 30))
    scorer = made.model.scorer
    kernels = {name: getattr(scorer.attention, name).kernel.numpy() for name in ("query", "key", "value")}
    output, hidden, last = scorer.attention.output_layer, scorer.network.hidden[0], scorer.network.output_layer
    expected, num_absent = [], 0
    for query, candidate in zip(queries[rows[0]], candidates[rows[1]], strict=True):
        question = query[: 5 * 4].reshape(5, 4).sum(axis=0)
        present = candidate[8 * 4 :] > 0
        tokens = candidate[: 8 * 4].reshape(8, 4)[present]
        num_absent += (~present).sum()
        heads = []
        for head in (slice(0, 2), slice(2, 4)):
            scores = (tokens @ kernels["key"])[:, head] @ (question @ kernels["query"])[head] / np.sqrt(2)
            weights = np.exp(scores) / np.exp(scores).sum()
            heads.append(weights @ (tokens @ kernels["value"])[:, head])
        attended = np.concatenate(heads) @ output.kernel.numpy()
        x = np.concatenate([question, attended, question * attended])
        x = np.maximum(x @ hidden.kernel.numpy() + hidden.bias.numpy(), 0.0)
        expected.append((x @ last.kernel.numpy() + last.bias.numpy())[0])
    assert num_absent > 0
    found = PairScorer(made.model, queries, candidates).pairs(*rows)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_numbers_arrive():
    model = build(num_negatives=3, num_drawn=20, dropout=0.25, loss="softmax", num_heads=1)
    assert (model.num_negatives, model.negative_sampler.num_negatives) == (3, 20)
    network = model.scorer.network
    assert (network.hidden_dims, network.dropout, network.use_bias) == ((7,), 0.25, False)
    assert model.scorer.attention.num_heads == 1
    assert "id" in model.query_tower.encoders and "id" not in build(query_id=False).query_tower.encoders


def test_the_scorer_comes_back_from_its_config():
    scorer = MMAL(2, 3, 8, 2, (4,), 0.5, False, name="scorer")
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(scorer))
    assert type(again) is MMAL and again.get_config() == scorer.get_config()


def test_without_features_it_is_refused():
    schema = catalogue().schema
    bare = schema.model_copy(update={"candidates": schema.candidates.model_copy(update={"features": {}})})
    with pytest.raises(UsageError, match="mmal needs candidates with at least one feature.*or take ranker"):
        build(bare)


def test_heads_that_do_not_divide_the_size_are_refused():
    with pytest.raises(UsageError, match="num_heads must be at least 1 and divide dim, got num_heads=3 and dim=4"):
        build(num_heads=3)
