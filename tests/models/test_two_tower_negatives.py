"""The two-tower model's losses against a batch's other candidates, drawn ones, or both."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.small_two_tower import (
    COUNTS,
    DIM,
    HISTORIES,
    NUM_CANDIDATES,
    WEIGHT,
    interactions,
    logits_of,
    make,
)
from tfmmrec.losses import MinedNegatives, log_inclusion_probability, log_union_probability
from tfmmrec.types import UsageError

ROWS, POSITIVE, CHOSEN = [0, 4, 6, -1], [1, 0, 2, 1], np.array([4, 0, 6, 4])  # a batch's candidates, and its rows' own


def in_batch(model):
    """The loss of a batch, and the scores over the temperature that it comes from."""
    model.history_table.assign(np.random.default_rng(2).normal(size=(NUM_CANDIDATES, DIM)))
    return float(model.compute_loss(interactions(ROWS, POSITIVE))), logits_of(model, model.history_table.numpy())


def mean_over_rows(of_row):
    """The weighted mean of a row's loss, given its number, its candidate and what else the batch has."""
    losses = [of_row(i, own, [c for c in (0, 4, 6) if c != own]) for i, own in enumerate(CHOSEN)]
    return (np.array(losses) * WEIGHT).sum() / WEIGHT.sum()


def test_bpr_and_hinge_are_the_mean_over_the_other_candidates_of_the_batch():
    found, logits = in_batch(make("bpr"))
    expected = mean_over_rows(lambda i, own, others: np.log1p(np.exp(logits[i, others] - logits[i, own])).mean())
    assert found == pytest.approx(expected, rel=1e-5)
    found, logits = in_batch(make("hinge"))
    expected = mean_over_rows(lambda i, own, others: np.maximum(0, 1 - logits[i, own] + logits[i, others]).mean())
    assert found == pytest.approx(expected, rel=1e-5)


def test_only_hard_negatives_and_none_that_the_query_chose():
    found, logits = in_batch(make("bpr", hard_negatives=1))
    expected = mean_over_rows(lambda i, own, others: np.log1p(np.exp(logits[i, others].max() - logits[i, own])))
    assert found == pytest.approx(expected, rel=1e-5)
    found, logits = in_batch(make("bpr", mask_known_positives=True))

    def of_unknown(i, own, others):
        unknown = [c for c in others if c not in HISTORIES[i]]
        return np.log1p(np.exp(logits[i, unknown] - logits[i, own])).mean()

    assert 0 in HISTORIES[0] and found == pytest.approx(mean_over_rows(of_unknown), rel=1e-5)


@pytest.mark.parametrize("negatives", ["uniform", "popularity"])
def test_a_softmax_over_drawn_negatives(negatives):
    model = make("sampled_softmax", negatives=negatives, num_negatives=6, candidate_counts=COUNTS)
    found, logits = in_batch(model)
    drawn = model.negative_sampler()[0].numpy()
    assert 2 not in drawn  # nobody chose it
    weights = (COUNTS > 0) if negatives == "uniform" else COUNTS**0.75
    expected_draws = 6 * weights / weights.sum()

    def of_row(i, own, _):
        others = drawn[drawn != own]
        z = np.exp(logits[i, own]) + (np.exp(logits[i, others]) / expected_draws[others]).sum()
        return np.log(z) - logits[i, own]

    assert set(CHOSEN) & set(drawn) and found == pytest.approx(mean_over_rows(of_row), rel=1e-4)


def test_the_denominator_over_uniform_negatives_is_the_full_one_on_average():
    model = make("sampled_softmax", history=False, negatives="uniform", num_negatives=3, candidate_counts=COUNTS)
    inputs = interactions([4], [0, 0, 0, 0], history=False)
    inputs["weight"] = tf.constant([1.0, 0.0, 0.0, 0.0])  # one row, whose loss is log Ẑ − s
    score = logits_of(model, history_table=0)[0]
    step = tf.function(lambda: model.compute_loss(inputs, training=True))
    found = np.exp([float(step()) + score[4] for _ in range(2000)])
    assert abs(found.mean() - np.exp(score[COUNTS > 0]).sum()) < 4 * found.std() / np.sqrt(2000)


@pytest.mark.parametrize("masked", [False, True])
def test_mixed_negatives_are_the_batch_and_drawn_ones_each_once(masked):
    options = {"candidate_counts": COUNTS, "global_batch_size": 4, "mask_known_positives": masked}
    model = make("sampled_softmax", negatives="mixed", num_negatives=3, **options)
    found, logits = in_batch(model)
    union = sorted({0, 4, 6, *model.negative_sampler()[0].numpy()})
    assert len(union) > 3
    of_drawn = np.log(1 - (1 - 1 / 6) ** 3)  # six were ever chosen
    terms = np.exp(logits - log_union_probability(log_inclusion_probability(COUNTS, 4), of_drawn))

    def of_row(i, own, _):
        counted = [c for c in union if c == own or not (masked and c in HISTORIES[i])]
        return -np.log(terms[i, own] / terms[i, counted].sum())

    assert found == pytest.approx(mean_over_rows(of_row), rel=1e-4)


def test_mixed_negatives_of_a_stream():
    model = make("sampled_softmax", negatives="mixed", num_negatives=3, candidate_counts=COUNTS)
    losses = [float(model.compute_loss(interactions(ROWS, POSITIVE), training=True)) for _ in range(3)]
    assert np.isfinite(losses).all()
    seen = model.streaming_frequency.last.numpy()[:NUM_CANDIDATES] >= 0
    np.testing.assert_array_equal(seen, np.isin(np.arange(NUM_CANDIDATES), ROWS))  # what was drawn is not counted


@pytest.mark.parametrize("loss", ["sampled_softmax", "bpr", "hinge"])
def test_each_row_against_some_of_those_mined_for_its_query(loss):
    mined = MinedNegatives(5, depth=3, num_drawn=2, seed=4)
    model = make(loss, negatives="mined", mined=mined, candidate_counts=COUNTS)
    assert model.needs_catalogue and model.negative_sampler is mined
    hardest = np.array([[1, 5, 6], [0, 5, -1], [3, -1, -1], [-1, -1, -1], [2, 2, 2]])
    mined.assign(hardest)
    queries = np.array([1, 0, 2, 3])
    model.history_table.assign(np.random.default_rng(2).normal(size=(NUM_CANDIDATES, DIM)))
    logits = logits_of(model, model.history_table.numpy())
    inputs = interactions(ROWS, POSITIVE) | {"query_rows": tf.constant(queries)}
    drawn = mined(False, tf.constant(queries))[0].numpy().reshape(4, 2)
    assert sorted(drawn[0]) == [0, 5] and len(set(drawn[1]) & {1, 5, 6}) == 2 and sorted(drawn[2]) == [-1, 3]

    def of_row(i, own, _):
        others = drawn[i][(drawn[i] >= 0) & (drawn[i] != own)]
        difference = logits[i, own] - logits[i, others]
        if loss == "bpr":
            return np.log1p(np.exp(-difference)).mean() if len(others) else 0.0
        if loss == "hinge":
            return np.maximum(0, 1 - difference).mean() if len(others) else 0.0
        return np.log1p(np.exp(-difference).sum())

    assert float(model.compute_loss(inputs)) == pytest.approx(mean_over_rows(of_row), rel=1e-5)
    del inputs["query_rows"]
    with pytest.raises(UsageError, match="mined negatives are each query's own: give the batches query_rows"):
        model.compute_loss(inputs)


def test_drawn_negatives_come_from_the_catalogue():
    for loss in ("bpr", "hinge", "sampled_softmax"):
        model = make(loss, negatives="uniform", num_negatives=5, candidate_counts=COUNTS)
        assert model.needs_catalogue and model.history_table is not None
        inputs = interactions(ROWS, POSITIVE) | {"candidate": {}}
        assert np.isfinite(model.compute_loss(inputs, training=True))
        assert model.candidate_tower.encoders["look"].calls == [4 + 5]  # each once, in one go
    model._catalogue = ()
    with pytest.raises(UsageError, match="reads candidates in the catalogue: call set_catalogue before training"):
        model.compute_loss(inputs)
