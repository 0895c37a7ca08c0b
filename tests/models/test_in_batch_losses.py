import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import sampled_softmax
from tfmmrec.models.in_batch_losses import Candidates, NegativeOptions, row_losses
from tfmmrec.types import UsageError

RANDOM = np.random.default_rng(4)
QUERY = RANDOM.normal(size=(3, 4)).astype(np.float32)
OWN = np.array([7, 2, 9], np.int32)
ROWS = np.array([2, 5, 7, 7, 8, -1], np.int32)  # 7 stands there twice, -1 is padding; 9 is not there
TABLE = RANDOM.normal(size=(10, 4)).astype(np.float32)
LOG_P = np.log(np.linspace(0.1, 0.9, 10)).astype(np.float32)
KNOWN = np.array([[5, -1], [9, 8], [-1, -1]], np.int32)
TEMPERATURE = 0.5
SCORES = QUERY @ TABLE.T / TEMPERATURE
OWN_SCORES = SCORES[np.arange(3), OWN]
# by row: which candidates count, each once, never the own one
COUNTING = {
    "all": [[2, 5, 8], [5, 7, 8], [2, 5, 7, 8]],
    "unknown": [[2, 8], [5, 7], [2, 5, 7, 8]],
}


def found(loss, corrected=True, **options):
    log_p = LOG_P if corrected else [None]
    own = Candidates(OWN, TABLE[OWN], log_probability=log_p[OWN] if corrected else None)
    negatives = Candidates(
        tf.constant(ROWS),
        tf.constant(TABLE[ROWS]),
        tf.constant([True, True, True, False, True, False]),
        log_p[ROWS] if corrected else None,
    )
    return row_losses(loss, tf.constant(QUERY), own, negatives, temperature=TEMPERATURE, **options).numpy()


def hardest(counting, n):
    return [sorted(row, key=lambda c: -SCORES[i, c])[:n] for i, row in enumerate(counting)]


def expected(loss, counting, corrected=True):
    losses = []
    for i, row in enumerate(counting):
        difference = OWN_SCORES[i] - SCORES[i, row]
        if loss == "bpr":
            losses.append(np.log1p(np.exp(-difference)).mean())
        elif loss == "hinge":
            losses.append(np.maximum(0.0, 1.0 - difference).mean())
        else:
            terms = np.exp(SCORES[i] - (LOG_P if corrected else 0.0))
            losses.append(-np.log(terms[OWN[i]] / (terms[OWN[i]] + terms[row].sum())))
    return losses


@pytest.mark.parametrize("loss", ["sampled_softmax", "bpr", "hinge"])
def test_each_loss_over_what_counts(loss):
    for options, counting in (
        ({}, COUNTING["all"]),
        ({"known": KNOWN}, COUNTING["unknown"]),
        ({"hard": 1}, hardest(COUNTING["all"], 1)),
        ({"hard": 2, "known": KNOWN}, hardest(COUNTING["unknown"], 2)),
    ):
        np.testing.assert_allclose(found(loss, **options), expected(loss, counting), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["sampled_softmax", "bpr", "hinge"])
def test_each_row_may_have_negatives_of_its_own(loss):
    rows = np.array([[5, 7, 8], [1, 9, -1], [-1, -1, -1]], np.int32)  # one is the own candidate, of row 0
    own = Candidates(OWN, tf.constant(TABLE[OWN]))
    negatives = Candidates(tf.constant(rows.ravel()), tf.constant(TABLE[rows.ravel()]), by_row=True)
    for options, counting in (
        ({}, [[5, 8], [1, 9], []]),
        ({"known": KNOWN}, [[8], [1], []]),
        ({"hard": 1}, hardest([[5, 8], [1, 9], []], 1)),
    ):
        found = row_losses(loss, tf.constant(QUERY), own, negatives, temperature=TEMPERATURE, **options)
        np.testing.assert_allclose(found[:2], expected(loss, counting[:2], corrected=False), rtol=1e-4, atol=1e-6)
        assert found[2] == 0.0  # there is nothing to compare with


def test_only_the_softmax_is_corrected():
    for loss in ("bpr", "hinge"):
        np.testing.assert_array_equal(found(loss, corrected=False), found(loss))
    plain = found("sampled_softmax", corrected=False)
    np.testing.assert_allclose(plain, expected("sampled_softmax", COUNTING["all"], corrected=False), rtol=1e-4)


def test_without_masks_of_rows_it_is_the_sampled_softmax():
    columns = np.array([2, 7, 9, 5])
    by_columns = sampled_softmax(
        QUERY, TABLE[columns], np.array([1, 0, 2]), log_probability=LOG_P[columns], temperature=TEMPERATURE
    )
    own = Candidates(OWN, TABLE[OWN], log_probability=LOG_P[OWN])
    negatives = Candidates(tf.constant(columns, tf.int32), TABLE[columns], log_probability=LOG_P[columns])
    by_rows = row_losses("sampled_softmax", QUERY, own, negatives, temperature=TEMPERATURE)
    np.testing.assert_allclose(by_rows, by_columns, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "easy"}, "negatives must be one of in_batch, uniform, popularity, mixed, mined, got 'easy'"),
        ({"num_negatives": 0}, "num_negatives must be at least 1, got 0"),
        ({"hard": -1}, r"hard_negatives must be 0 \(for all\) or more, got -1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        NegativeOptions(**options)


@pytest.mark.parametrize(
    ("options", "loss", "message"),
    [
        ({"kind": "mixed"}, "multinomial", "multinomial counts every candidate: negatives, hard_negatives and"),
        ({"hard": 2}, "full_softmax", "full_softmax counts every candidate"),
        ({"mask_known": True}, "full_softmax", "full_softmax counts every candidate"),
        ({"mask_known": True}, "bpr", "mask_known_positives reads the query's history: give the query tower one"),
        ({"kind": "popularity"}, "hinge", "seen in train: give candidate_counts"),
        ({"kind": "mined"}, "full_softmax", "full_softmax counts every candidate"),
    ],
)
def test_what_a_loss_cannot_do_is_refused(options, loss, message):
    with pytest.raises(UsageError, match=message):
        NegativeOptions(**options).check(loss, {"id": None}, None)
    mined = "it" if options.get("kind") == "mined" else None
    NegativeOptions(**options).check("sampled_softmax", {"history": None}, np.ones(3), mined)


@pytest.mark.parametrize(("kind", "mined"), [("mined", None), ("uniform", "it")])
def test_mined_negatives_and_what_draws_them_go_together(kind, mined):
    with pytest.raises(UsageError, match="negatives='mined' and mined, which draws them, go together; got negatives="):
        NegativeOptions(kind).check("bpr", {"id": None}, np.ones(3), mined)
