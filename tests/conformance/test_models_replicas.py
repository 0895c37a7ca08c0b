"""Two and four replicas take the steps of one: the same losses and the same weights at the same global batch."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import CASES, SAMPLED, ModelCase, by_name, named, quick_or_slow, ready

STEPS = 4
# Encoders of content have no say in this: each row has its own vector. Unit vectors keep the losses tame.
IDS = {"content": False, "query_features": False, "normalize": True}
LOSSES = [
    ModelCase("multinomial of ids", "two_tower", {**IDS, "loss": "multinomial"}),
    ModelCase("full softmax of ids", "two_tower", {**IDS, "loss": "full_softmax"}),
    ModelCase("sampled softmax of ids", "two_tower", {**IDS, **SAMPLED}),
    ModelCase("bpr of ids", "two_tower", {**IDS, "loss": "bpr", "mask_known_positives": True}),
    ModelCase("hard hinge of ids", "two_tower", {**IDS, "loss": "hinge", "hard_negatives": 5}),
    ModelCase("mixed negatives of ids", "two_tower", {**IDS, **SAMPLED, "negatives": "mixed", "num_negatives": 8}),
    ModelCase("mined negatives of ids", "two_tower", {**IDS, "loss": "bpr", "negatives": "mined", "num_mined": 3}),
    ModelCase("popular negatives of ids", "two_tower", {**IDS, **SAMPLED, "negatives": "popularity"}),
]
IN_LOSSES = {"full softmax", "bpr", "hinge", "mixed negatives", "mined negatives", "gru"}
"""Cases of `CASES` whose losses stand above; what else is in them each row has by itself."""
OF_ROWS = {"late", "hybrid", "transformer"}
"""Cases that differ from `two_tower` in what becomes of a single row alone."""


def optimizer():
    """Its steps are the gradients, clipped, with the weight decay of training."""
    return tf.keras.optimizers.SGD(0.2, momentum=0.9, weight_decay=0.01, global_clipnorm=0.5)


@functools.cache
def of_one(name):
    """Losses and weights of one replica."""
    return steps(next(case for case in LOSSES + CASES if case.name == name), tf.distribute.get_strategy())


def steps(case, strategy):
    made = ready(case.without_dropout(), optimizer, strategy)
    return made.fit(STEPS), [variable.numpy() for variable in made.model.trainable_variables]


def check(case, strategy):
    losses, weights = steps(case, strategy)
    one_losses, one_weights = of_one(case.name)
    assert len(set(np.round(one_losses, 6))) == STEPS  # they learn
    np.testing.assert_allclose(losses, one_losses, rtol=1e-5)
    for found, expected in zip(weights, one_weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", LOSSES, ids=by_name)
def test_losses(case, replicas):
    check(case, replicas(2))


@pytest.mark.slow
@pytest.mark.parametrize("case", [LOSSES[0], LOSSES[5]], ids=by_name)
def test_four_replicas(case, replicas):
    check(case, replicas(4))


@pytest.mark.parametrize(
    "case",
    quick_or_slow(
        [c for c in CASES if c.name not in IN_LOSSES | OF_ROWS], [named("two_tower"), named("multimodal_graph")]
    ),
    ids=by_name,
)
def test_every_model(case, replicas):
    check(case, replicas(2))


def test_replicas_have_some_candidates_in_common_or_the_above_would_show_nothing(replicas):
    stream = ready(LOSSES[2], optimizer, replicas(2)).stream
    for step in range(STEPS):
        one, other = np.split(stream.batch(step)["candidate_rows"], 2)
        one, other = set(one[one >= 0]), set(other[other >= 0])
        assert one & other and one != other
