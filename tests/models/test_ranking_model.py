import numpy as np
import pytest
import tensorflow as tf

from tests.models.small_two_tower import (
    CANDIDATE_IDS,
    CATALOGUE,
    COUNTS,
    DIM,
    HISTORIES,
    LENGTH,
    NUM_CANDIDATES,
    QUERY_IDS,
    WEIGHT,
    interactions,
    query_inputs,
)
from tfmmrec.encoders import HistoryEncoder, IdentifierEncoder, PrecomputedEncoder
from tfmmrec.fusion import FieldsFusion
from tfmmrec.models import RankingModel
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

NUM_NEGATIVES, NUM_DRAWN = 3, 5
ROWS, POSITIVE = [2, 3, 6, -1], [0, 1, 1, 2]


class Scorer(tf.keras.layers.Layer):
    """A linear score of both sides and of the product of their first numbers."""

    def build(self, shapes):
        self.kernel = self.add_weight(name="kernel", shape=[shapes[0][-1] + shapes[1][-1]])

    def call(self, inputs, training=None):
        query, candidate = inputs
        return tf.linalg.matvec(tf.concat([query, candidate], 1), self.kernel) + query[:, 0] * candidate[:, 0]


def make(history=True, **options):
    """A model whose weights are all away from where they start."""
    tf.keras.utils.set_random_seed(3)
    queries = {"id": IdentifierEncoder(QUERY_IDS, DIM, name="id")}
    if history:
        queries["history"] = HistoryEncoder(LENGTH, name="history")
    candidates = {"id": IdentifierEncoder(CANDIDATE_IDS, DIM, name="id"), "look": PrecomputedEncoder(3, name="look")}
    model = RankingModel(
        Tower(queries, FieldsFusion(DIM, name="fusion"), name="query_tower"),
        Tower(candidates, FieldsFusion(DIM, name="fusion"), name="candidate_tower"),
        Scorer(name="scorer"),
        **{
            "num_candidates": NUM_CANDIDATES,
            "candidate_counts": COUNTS,
            "num_negatives": NUM_NEGATIVES,
            "num_drawn": NUM_DRAWN,
        }
        | options,
    )
    assert model.build_towers() == 2 * DIM + 2
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 1], stddev=0.5))
    model.set_catalogue(CATALOGUE)
    if history:
        model.history_table.assign(model.embed_history(tf.nest.map_structure(tf.constant, CATALOGUE)))
    return model


def logits_of(model):
    """Of each row of the batch and each candidate, by the parts alone."""
    parts = model.embed_candidates(tf.nest.map_structure(tf.constant, CATALOGUE)).numpy()
    history = "history" in model.query_tower.encoders
    queries = model.embed_queries(query_inputs(history), parts if history else None).numpy()
    kernel = model.scorer.kernel.numpy()
    size = queries.shape[1]
    linear = (queries @ kernel[:size])[:, None] + parts @ kernel[size:]
    return linear + np.outer(queries[:, 0], parts[:, 0])


def expected_loss(model, loss):
    logits, own = logits_of(model).astype(np.float64), np.array(ROWS)[POSITIVE]
    drawn = model.negative_sampler(training=False)[0].numpy()
    history = "history" in model.query_tower.encoders
    losses = []
    for row, positive in enumerate(own):
        places = (row * NUM_NEGATIVES + np.arange(NUM_NEGATIVES)) % NUM_DRAWN
        known = set(HISTORIES[row]) if history else set()
        scores = [logits[row, c] for c in drawn[places] if c != positive and c not in known]
        if loss == "pointwise":
            terms = [np.log1p(np.exp(-logits[row, positive]))] + [np.log1p(np.exp(s)) for s in scores]
            losses.append(np.mean(terms))
        else:
            losses.append(np.log(np.exp([logits[row, positive], *scores]).sum()) - logits[row, positive])
    return np.sum(losses * WEIGHT) / WEIGHT.sum()


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("loss", ["pointwise", "softmax"])
def test_the_loss_of_an_interaction_and_its_negatives(loss, history):
    model = make(history, loss=loss)
    found = model.compute_loss(interactions(ROWS, POSITIVE, history))
    np.testing.assert_allclose(found, expected_loss(model, loss), rtol=1e-4)


def test_a_score_is_the_scorer_s_pair_by_pair():
    model = make()
    parts = model.embed_candidates(tf.nest.map_structure(tf.constant, CATALOGUE))
    queries = model.embed_queries(query_inputs(), parts)
    found = model.score_pairs(queries, parts[:4])
    assert found.dtype == tf.float32 and found.shape == [4]
    np.testing.assert_allclose(found, np.diag(logits_of(model)[:, :4]), rtol=1e-4, atol=1e-5)


def test_only_candidates_that_train_has_are_drawn_and_others_in_every_step():
    model = make(num_drawn=200)
    drawn = [model.negative_sampler(training=True)[0].numpy() for _ in range(2)]
    assert set(drawn[0]) == set(np.flatnonzero(COUNTS)) and not np.array_equal(*drawn)


def test_histories_read_a_table_that_no_gradient_reaches():
    model = make()
    assert model.kind == "ranking" and model.history_tower is None and model.needs_catalogue
    assert model.history_table.shape == [NUM_CANDIDATES, 2 * DIM + 2]
    assert model.history_table.ref() not in {v.ref() for v in model.trainable_variables}
    assert make(history=False).history_table is None


def test_without_a_catalogue_it_is_refused():
    model = make()
    model._catalogue = ()
    with pytest.raises(UsageError, match="draws negatives from the catalogue: call set_catalogue before training"):
        model.compute_loss(interactions(ROWS, POSITIVE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "bpr"}, "a ranking model's loss must be one of pointwise, softmax, got 'bpr'"),
        ({"num_negatives": 0}, "num_negatives must be at least 1 .* got num_negatives=0 and num_drawn=5"),
        ({"num_negatives": 6}, "no more than num_drawn.* got num_negatives=6 and num_drawn=5"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make(**options)
