import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.losses import log_inclusion_probability, sampled_softmax, unique_across_replicas
from tfmmrec.losses.negatives import first_occurrences


def test_the_chance_to_be_among_the_rows_of_a_batch():
    counts = np.array([5.0, 3.0, 2.0])
    share = counts / 10
    for batch_size in (1, 4, 50):
        np.testing.assert_allclose(
            np.exp(log_inclusion_probability(counts, batch_size)), 1 - (1 - share) ** batch_size, rtol=1e-12
        )
    np.testing.assert_allclose(log_inclusion_probability(counts, 1), np.log(share), rtol=1e-12)


def test_a_rare_candidate_of_a_large_log_is_not_rounded_away():
    counts = np.array([1.0, 1e12])
    # 1 − (1 − p)^B = B p up to a relative B p / 2
    np.testing.assert_allclose(log_inclusion_probability(counts, 64)[0], np.log(64e-12), rtol=1e-9)


def test_without_interactions_it_is_half_an_interaction_and_with_all_of_them_certain():
    found = log_inclusion_probability(np.array([0, 9]), 2)
    np.testing.assert_allclose(found[0], np.log(1 - (1 - 0.5 / 9.5) ** 2), rtol=1e-9)
    assert log_inclusion_probability(np.array([7]), 3).tolist() == [pytest.approx(0.0, abs=1e-9)]
    assert np.isfinite(log_inclusion_probability(np.zeros(4), 8)).all()


def test_it_is_how_often_a_candidate_is_drawn():
    counts, batch_size = np.array([40, 30, 20, 10]), 3
    draws = np.random.default_rng(0).choice(4, (20_000, batch_size), p=counts / 100)
    share = [(draws == candidate).any(axis=1).mean() for candidate in range(4)]
    # a standard deviation is at most 0.5 / sqrt(20,000) = 0.0035
    np.testing.assert_allclose(share, np.exp(log_inclusion_probability(counts, batch_size)), atol=4 * 0.0036)


def test_first_occurrences():
    rows = tf.constant([7, 3, 7, -1, 3, 9, -1])
    assert first_occurrences(rows).numpy().tolist() == [True, True, False, True, False, True, False]
    assert first_occurrences(tf.constant([4])).numpy().tolist() == [True]


def test_one_replica_keeps_what_it_has():
    vectors = tf.random.stateless_normal([3, 2], [0, 1])
    rows, found, mask, positives = unique_across_replicas(tf.constant([4, 8, -1]), vectors, tf.constant([1, 0, 1]))
    assert rows.numpy().tolist() == [4, 8, -1]
    assert mask.numpy().tolist() == [True, True, False]
    assert positives.numpy().tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found, vectors)


NUM_CANDIDATES, DIM, BATCH = 9, 3, 16
TABLE = np.random.default_rng(1).normal(size=(NUM_CANDIDATES, DIM)).astype(np.float32)
QUERIES = np.random.default_rng(2).normal(size=(BATCH, DIM)).astype(np.float32)
CHOSEN = np.random.default_rng(3).integers(0, NUM_CANDIDATES - 1, BATCH)  # the last one is in no batch
LOG_P = log_inclusion_probability(np.arange(1, NUM_CANDIDATES + 1), BATCH).astype(np.float32)


def share_of(replica: int, num_replicas: int):
    """What a replica gets: its rows, their different candidates padded to a static size, and their places."""
    size = BATCH // num_replicas
    rows = slice(replica * size, (replica + 1) * size)
    found, positives = np.unique(CHOSEN[rows], return_inverse=True)
    unique = np.full(size, -1, np.int32)
    unique[: found.size] = found
    return QUERIES[rows], unique, positives.astype(np.int32)


def run(strategy, num_replicas):
    """The columns, the sum of the losses and the gradient of the table, of one step under a strategy."""
    with strategy.scope():
        table = tf.Variable(TABLE)

    def step(query, rows, positives):
        with tf.GradientTape() as tape:
            vectors = tf.gather(table, tf.maximum(rows, 0))
            rows, vectors, mask, positives = unique_across_replicas(rows, vectors, positives)
            log_probability = tf.gather(LOG_P, tf.maximum(rows, 0))
            losses = sampled_softmax(query, vectors, positives, log_probability=log_probability, candidate_mask=mask)
            loss = tf.reduce_sum(losses)
        gradient = tf.convert_to_tensor(tape.gradient(loss, table))
        context = tf.distribute.get_replica_context()
        return rows, mask, positives, context.all_reduce("sum", loss), context.all_reduce("sum", gradient)

    arguments = [
        strategy.experimental_distribute_values_from_function(
            lambda context, place=place: tf.constant(share_of(context.replica_id_in_sync_group, num_replicas)[place])
        )
        for place in range(3)
    ]
    found = tf.function(lambda values: strategy.run(step, args=values))(arguments)
    return [[part.numpy() for part in strategy.experimental_local_results(value)] for value in found]


def in_one():
    """The same on one replica, and from the formula."""
    logits = QUERIES @ TABLE.T - LOG_P
    there = np.isin(np.arange(NUM_CANDIDATES), CHOSEN)
    weights = np.exp(logits) * there
    shares = weights / weights.sum(axis=1, keepdims=True)
    loss = -np.log(shares[np.arange(BATCH), CHOSEN]).sum()
    return loss, (shares - np.eye(NUM_CANDIDATES)[CHOSEN]).T @ QUERIES


def test_one_replica_gives_the_formula():
    rows, mask, _, loss, gradient = run(tf.distribute.get_strategy(), 1)
    assert sorted(rows[0][mask[0]]) == sorted(set(CHOSEN))
    np.testing.assert_allclose(loss[0], in_one()[0], rtol=1e-5)
    np.testing.assert_allclose(gradient[0], in_one()[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_together_give_the_loss_and_the_gradient_of_one(replicas, num_replicas):
    rows, mask, positives, loss, gradient = run(replicas(num_replicas), num_replicas)
    assert len(rows) == num_replicas
    for replica in range(num_replicas):
        own = share_of(replica, num_replicas)
        # all the global batch's candidates, each once
        assert sorted(rows[replica][mask[replica]]) == sorted(set(CHOSEN))
        # its own first, unmasked but for their padding, so that the places of the positives hold
        np.testing.assert_array_equal(rows[replica][: len(own[1])], own[1])
        np.testing.assert_array_equal(mask[replica][: len(own[1])], own[1] >= 0)
        np.testing.assert_array_equal(positives[replica], own[2])
        np.testing.assert_allclose(loss[replica], in_one()[0], rtol=1e-5)
        np.testing.assert_allclose(gradient[replica], in_one()[1], rtol=1e-4, atol=1e-5)
    num_columns = sum(int((share_of(replica, num_replicas)[1] >= 0).sum()) for replica in range(num_replicas))
    assert num_columns > len(set(CHOSEN))  # some candidates came from several replicas
