"""What the sampled softmax is on average over all batches, beside the full softmax: by enumeration.

A catalogue of M candidates; the B rows of a batch choose c with probability p_c; S is the set of the batch's
candidates; π_c = 1 − (1 − p_c)^B is the chance that c is in it. For one query with scores s the full softmax divides
by Z = Σ_c e^{s_c}, the sampled one by Ẑ = Σ_{c∈S} e^{s_c} / π_c, and the loss of a row that chose y is
log Ẑ − s_y + log π_y with the gradient (e^{s_c} / π_c) / Ẑ − 1[c = y]. So, exactly:

1. E[Ẑ] = Σ_c P(c ∈ S) e^{s_c} / π_c = Z, and likewise E[∂Ẑ/∂s_c] = e^{s_c}, over all batches, for every B.
2. For the batches in which a row is known to have chosen y it is not: the row brings its y along, so
   E[Ẑ | y] = Z + e^{s_y} (1 − π_y) / π_y − Σ_{c≠y} e^{s_c} p_c (1 − p_c)^{B−1} / π_c.
   On average over the row's own taste P(y | q) that is Z + Σ_c e^{s_c} (1 − p_c)^{B−1} / π_c · (P(c | q) − p_c):
   Z again for a query that chooses like all others; more for one whose own candidates are scored high.
3. The gradient is a ratio, and the mean of a ratio is not the ratio of the means: it goes to the full softmax's when
   the batch grows. With ε = Σ_c (1 − p_c)^{B−1} ≥ P(S is not everything | y): where S is everything, each share lies
   within a factor π_min ≥ 1 − ε of the full one, elsewhere it is off by at most 1, so that
   |E[gradient_c | y] − (softmax_c − 1[c = y])| ≤ ε + ε / (1 − ε), which falls to 0 geometrically in B.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import full_softmax, log_inclusion_probability, sampled_softmax

COUNTS = np.array([8, 5, 2, 1])
P = COUNTS / COUNTS.sum()
M = len(P)
SCORES = np.array([0.3, -1.2, 0.9, 1.6], np.float32)
Z = np.exp(SCORES).sum()
SOFTMAX = np.exp(SCORES) / Z


def inclusion(batch_size):
    return 1 - (1 - P) ** batch_size


def losses_and_gradients(candidates, rows_chose, batch_size, correct=True):
    """The loss under test and its gradient by the scores, for rows with the scores above and given columns.

    With unit vectors as candidates, a query's vector is its scores.
    """
    log_p = log_inclusion_probability(COUNTS, batch_size)[candidates] * correct
    query = tf.Variable(np.tile(SCORES, (len(rows_chose), 1)))
    positives = np.searchsorted(candidates, rows_chose)
    with tf.GradientTape() as tape:
        vectors = np.eye(M, dtype=np.float32)[candidates]
        losses = sampled_softmax(query, vectors, positives, log_probability=log_p.astype(np.float32))
        loss = tf.reduce_sum(losses)
    return losses.numpy(), tape.gradient(loss, query).numpy()


def batches(batch_size, rows=P):
    """All batches there are, as (choices, probability); `rows` may fix what the rows' chances are."""
    for choices in itertools.product(range(M), repeat=batch_size):
        yield np.array(choices, int), float(np.prod(rows[list(choices)]))


def sets(batch_size):
    """All sets of candidates that a batch may have, with their probability (inclusion and exclusion)."""
    for size in range(M + 1):
        for members in itertools.combinations(range(M), size):
            parts = (part for n in range(size + 1) for part in itertools.combinations(members, n))
            yield members, sum((-1) ** (size - len(part)) * P[list(part)].sum() ** batch_size for part in parts)


def sets_with(own, batch_size):
    """The same for the batches in which one row chose `own`."""
    found = {}
    for members, probability in sets(batch_size - 1):
        key = tuple(sorted({*members, own}))
        found[key] = found.get(key, 0.0) + probability
    return found.items()


def denominator(candidates, batch_size):
    """Ẑ, read off the loss: log Ẑ = loss + s_y − log π_y for any y of the batch."""
    own = candidates[0]
    loss = losses_and_gradients(candidates, [own], batch_size)[0][0]
    return float(np.exp(loss + SCORES[own]) / inclusion(batch_size)[own])


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_sets_have_the_probability_of_their_batches(batch_size):
    counted = {}
    for choices, probability in batches(batch_size):
        key = tuple(np.unique(choices))
        counted[key] = counted.get(key, 0.0) + probability
    for members, probability in sets(batch_size):
        assert probability == pytest.approx(counted.get(members, 0.0), abs=1e-12)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 20])
def test_the_denominator_is_unbiased_over_all_batches(batch_size):
    expected = sum(p * denominator(np.array(s), batch_size) for s, p in sets(batch_size) if s)
    np.testing.assert_allclose(expected, Z, rtol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 20])
def test_the_gradient_of_the_denominator_is_unbiased_over_all_batches(batch_size):
    # ∂Ẑ/∂s = Ẑ · (∂loss/∂s + one-hot of y)
    expected = np.zeros(M)
    for members, probability in sets(batch_size):
        if members:
            gradient = losses_and_gradients(np.array(members), members[:1], batch_size)[1][0]
            expected += probability * denominator(np.array(members), batch_size) * (gradient + np.eye(M)[members[0]])
    np.testing.assert_allclose(expected, np.exp(SCORES), rtol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 20])
def test_the_denominator_of_a_row_that_chose_y(batch_size):
    pi, missed = inclusion(batch_size), (1 - P) ** (batch_size - 1)
    biases = []
    for own in range(M):
        found = sum(p * denominator(np.array(s), batch_size) for s, p in sets_with(own, batch_size))
        bias = -np.exp(SCORES) * P * missed / pi
        bias[own] = np.exp(SCORES[own]) * (1 - pi[own]) / pi[own]
        np.testing.assert_allclose(found, Z + bias.sum(), rtol=1e-5)
        biases.append(found - Z)
    np.testing.assert_allclose(np.dot(P, biases), 0.0, atol=1e-4)  # for a query that chooses like all others
    taste = np.array([0.1, 0.1, 0.1, 0.7])
    expected = (np.exp(SCORES) * missed / pi * (taste - P)).sum()
    np.testing.assert_allclose(np.dot(taste, biases), expected, rtol=1e-3)


def expected_gradient(batch_size):
    """Mean gradient of a batch, over all batches, as training sees them: row by row, columns by `np.unique`."""
    found = np.zeros(M)
    for choices, probability in batches(batch_size):
        gradients = losses_and_gradients(np.unique(choices), choices, batch_size)[1]
        found += probability * gradients.mean(axis=0)
    return found


def test_one_row_has_no_negatives_to_learn_from():
    np.testing.assert_allclose(expected_gradient(1), np.zeros(M), atol=1e-6)


def gradient_given(own, batch_size, correct=True):
    return sum(
        p * losses_and_gradients(np.array(s), [own], batch_size, correct)[1][0] for s, p in sets_with(own, batch_size)
    )


def test_batches_row_by_row_give_what_the_sets_give():
    by_sets = sum(P[own] * gradient_given(own, 3) for own in range(M))
    np.testing.assert_allclose(expected_gradient(3), by_sets, atol=1e-6)


def full_gradient(own):
    scores = tf.Variable(SCORES[None])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(full_softmax(scores, [own]))
    return tape.gradient(loss, scores).numpy()[0]


@pytest.mark.parametrize("own", range(M))
def test_the_gradient_goes_to_the_full_softmaxs_as_the_batch_grows(own):
    full = full_gradient(own)
    np.testing.assert_allclose(full, SOFTMAX - np.eye(M)[own], rtol=1e-4)
    distances = []
    for batch_size in (60, 100, 200):
        missed = ((1 - P) ** (batch_size - 1)).sum()  # ε
        distances.append(np.abs(gradient_given(own, batch_size) - full).max())
        assert distances[-1] <= missed + missed / (1 - missed) + 1e-5
    assert distances[-1] < 1e-4


def test_the_correction_brings_small_batches_nearer_to_the_full_softmax():
    def distance(batch_size, correct):
        found = sum(P[own] * gradient_given(own, batch_size, correct) for own in range(M))
        return np.abs(found - (SOFTMAX - P)).sum()

    for batch_size in (4, 8, 16):
        assert distance(batch_size, True) < 0.85 * distance(batch_size, False)
