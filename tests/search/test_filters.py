import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.filters import MAX_K, Filters, best_candidates
from tfmmrec.search.question import by_products

VALUES = ["type=dress", "type=coat", "type=hat", "colour=red", "colour=blue", "season=summer", "season=winter"]
SIZE = 90


def _index(random):
    """Candidates with at most one type, up to two colours and a season; a query's products are its own numbers."""
    columns = [(0, 1, 2), (3, 4), (3, 4), (5, 6)]
    codes = np.stack([random.choice([-1, *column], SIZE) for column in columns], axis=1)
    return ExactIndex([f"c{i}" for i in range(SIZE)], np.eye(SIZE), None, codes, VALUES), codes


def _best(index, scores, filters, excluded_rows):
    nobody = tf.zeros(tf.shape(scores)[:1], tf.bool)
    return best_candidates(index, by_products(scores, nobody), filters, excluded_rows)


def _brute_force(scores, codes, exclude, allow, deny, k, min_score, cap):
    """One row, candidate by candidate, in the words of the documentation."""
    wanted = {}
    for value in filter(None, allow):
        wanted.setdefault(value.split("=")[0], set()).add(value)
    answer, counts = [], {}
    for column in np.argsort(-scores, kind="stable"):
        own = {VALUES[code] for code in codes[column] if code >= 0}
        main = codes[column][0]
        if len(answer) >= min(k, MAX_K):
            break
        if f"c{column}" in exclude or scores[column] < min_score:
            continue
        if any(not own & values for values in wanted.values()) or own & set(deny):
            continue
        if cap > 0 and main >= 0:
            if counts.get(main, 0) >= cap:
                continue
            counts[main] = counts.get(main, 0) + 1
        answer.append(column)
    return answer


@pytest.mark.parametrize("seed", range(12))
def test_equals_brute_force(seed):
    random = np.random.default_rng(seed)
    index, codes = _index(random)
    batch = 9
    scores = random.integers(-10, 10, (batch, SIZE)).astype(np.float32)
    strings = [*VALUES, "type=scarf", "fabric=silk", "odd"]

    def choose(width, likely):
        chosen = random.choice(strings, (batch, width), p=[0.97 / 7] * 7 + [0.01] * 3)
        return np.where(random.random((batch, width)) < likely, chosen, "")

    exclude = random.choice([*(f"c{i}" for i in range(SIZE)), "unknown", ""], (batch, 12))
    history = random.integers(-1, SIZE, (batch, 5)).astype(np.int32)
    allow, deny = choose(4, 0.4), choose(3, 0.2)
    k = random.integers(-1, SIZE + 20, batch).astype(np.int32)
    min_score = random.choice([-np.inf, 0.0, np.nan], batch).astype(np.float32)
    cap = random.integers(-1, 6, batch).astype(np.int32)
    filters = Filters(*(tf.constant(value) for value in (exclude, allow, deny, k, min_score, cap)))
    answer = tf.function(_best, autograph=False)(index, tf.constant(scores), filters, history)
    ids, values = answer["candidate_ids"].numpy().astype(str), answer["scores"].numpy()
    assert ids.shape == values.shape == (batch, max(k.max(), 0))
    for row in range(batch):
        out = {*exclude[row], *(f"c{column}" for column in history[row] if column >= 0)}
        least = -np.inf if np.isnan(min_score[row]) else min_score[row]
        expected = _brute_force(scores[row], codes, out, allow[row], deny[row], k[row], least, cap[row])
        padding = [""] * (ids.shape[1] - len(expected))
        assert ids[row].tolist() == [f"c{column}" for column in expected] + padding
        np.testing.assert_array_equal(values[row, : len(expected)], scores[row, expected])
        assert np.isneginf(values[row, len(expected) :]).all()


def _ask(index, scores, **given):
    batch = len(scores)
    empty = np.full((batch, 1), "")
    filters = {
        "exclude": empty,
        "allow": empty,
        "deny": empty,
        "k": np.full(batch, 3, np.int32),
        "cap": np.zeros(batch, np.int32),
    }
    filters["min_score"] = np.full(batch, -np.inf, np.float32)
    filters = Filters(**{name: tf.constant(value) for name, value in (filters | given).items()})
    return _best(index, tf.constant(scores, tf.float32), filters, tf.fill([batch, 1], -1))


def test_the_answer_is_as_wide_as_the_largest_k():
    index = ExactIndex([f"c{i}" for i in range(4)], np.eye(4))
    answer = _ask(index, [[4, 3, 2, 1], [1, 2, 3, 4]], k=[1, 6])
    assert answer["candidate_ids"].numpy().astype(str).tolist() == [
        ["c0", "", "", "", "", ""],
        ["c3", "c2", "c1", "c0", "", ""],
    ]
    np.testing.assert_array_equal(answer["scores"], [[4] + 5 * [-np.inf], [4, 3, 2, 1, -np.inf, -np.inf]])


@pytest.mark.parametrize(("k", "width"), [([0, 0], 0), ([-5, 2], 2), ([5000, 1], MAX_K)])
def test_k_is_kept_within_bounds(k, width):
    index = ExactIndex([f"c{i}" for i in range(4)], np.eye(4))
    assert _ask(index, np.ones((2, 4)), k=k)["candidate_ids"].shape == (2, width)


def test_an_empty_batch():
    index = ExactIndex(["a"], np.eye(1))
    assert _ask(index, np.zeros((0, 1)))["scores"].shape[0] == 0


def test_a_query_that_is_no_number_gets_nothing():
    answer = _ask(ExactIndex(["a", "b"], np.eye(2)), [[np.nan, 1.0], [2.0, 1.0], [np.inf, 1.0]])
    assert answer["candidate_ids"].numpy().astype(str).tolist() == [[""] * 3, ["a", "b", ""], [""] * 3]
