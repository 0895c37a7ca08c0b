import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.callbacks import Validation
from tfmmrec.data.interactions import Interactions

# three queries, five candidates; the first query has no held-out candidate
TRAIN = Interactions(np.array([0, 1, 3, 4]), np.array([0, 1, 2, 4], np.int32), {}, 5)
VALID = Interactions(np.array([0, 0, 1, 3]), np.array([3, 0, 2], np.int32), {}, 5)
CANDIDATES = np.array([[0.1], [0.9], [0.8], [0.2], [0.7]], np.float32)


class Embedder:
    """Every query has the same vector, 1: candidates are ranked by their own numbers."""

    def __init__(self, scale=1.0):
        self.scale, self.asked = scale, []

    def candidates(self):
        return CANDIDATES * self.scale

    def queries(self, rows, candidates, history):
        assert history is TRAIN  # the source of histories
        np.testing.assert_array_equal(candidates, CANDIDATES * self.scale)
        self.asked.append(list(rows))
        return np.ones((len(rows), 1), np.float32)


def validate(epoch=0, epochs=10, embedder=None, **options):
    callback, logs = Validation(embedder or Embedder(), TRAIN, VALID, **options), {"loss": 1.0}
    callback.set_params({"epochs": epochs})
    callback.on_epoch_end(epoch, logs)
    return logs


def test_metrics_over_all_candidates_but_the_seen_ones():
    # query 1 has seen 1 and 2: 4, 3, 0 remain, and 3 is wanted: rank 2
    # query 2 has seen 4: 1, 2, 3, 0 remain, and 2 and 0 are wanted: ranks 2 and 4
    logs = validate(ks=(2,))
    gain = 1 / np.log2(3)
    assert logs["val_recall@2"] == pytest.approx((1 + 1 / 2) / 2)
    assert logs["val_ndcg@2"] == pytest.approx((gain + gain / (1 + gain)) / 2)
    assert logs["loss"] == 1.0 and all(isinstance(value, float) for value in logs.values())


def test_only_queries_with_something_to_find_are_embedded():
    embedder = Embedder()
    validate(embedder=embedder)
    assert embedder.asked == [[1, 2]]


@pytest.mark.parametrize(("every", "validated"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 4]), (9, [4])])
def test_every_so_many_epochs_and_at_the_last(every, validated):
    found = [epoch for epoch in range(5) if "val_ndcg@20" in validate(epoch, epochs=5, every=every)]
    assert found == validated


def test_of_many_queries_a_seeded_choice():
    sizes = np.ones(50, np.int64)
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    valid = Interactions(indptr, np.zeros(50, np.int32), {}, 5)
    chosen = [Validation(Embedder(), TRAIN, valid, max_queries=10, seed=seed).queries for seed in (0, 0, 1)]
    assert len(set(chosen[0])) == 10 and (np.diff(chosen[0]) > 0).all()
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert set(chosen[0]) != set(chosen[2])
    assert len(Validation(Embedder(), TRAIN, valid, max_queries=50).queries) == 50


@pytest.mark.parametrize("scale", [np.nan, np.inf])
def test_a_model_that_has_diverged_is_named_so(scale):
    with pytest.raises(FloatingPointError, match="vectors are no longer finite in epoch 3; lower the learning rate"):
        validate(2, embedder=Embedder(scale))


def test_in_a_fit_its_metrics_reach_the_callbacks_after_it():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile(optimizer="sgd", loss="mse")
    history = model.fit(np.ones((2, 1)), np.ones((2, 1)), callbacks=[Validation(Embedder(), TRAIN, VALID)], verbose=0)
    assert history.history["val_recall@20"] == [1.0]


class Ranking:
    """A ranking model: a pair's score is its candidate's number."""

    kind = "ranking"

    def score_pairs(self, query_parts, candidate_parts, training=False):
        return query_parts[:, 1] * candidate_parts[:, 0]


class RankingEmbedder(Embedder):
    """Queries' parts have another size than candidates'."""

    model = Ranking()

    def queries(self, rows, candidates, history):
        return np.repeat(super().queries(rows, candidates, history), 2, axis=1)


def test_a_ranking_model_scores_pairs():
    assert validate(embedder=RankingEmbedder(), ks=(2,)) == validate(ks=(2,))


def test_a_ranking_model_validates_on_as_many_queries_as_its_pairs_allow():
    for max_pairs, num_queries in ((10, 2), (9, 1), (1, 1)):
        assert len(Validation(RankingEmbedder(), TRAIN, VALID, max_pairs=max_pairs).queries) == num_queries


def test_scores_of_a_ranking_model_that_has_diverged_are_named_so():
    class Diverged(Ranking):
        def score_pairs(self, query_parts, candidate_parts, training=False):
            return candidate_parts[:, 0] / 0.0

    embedder = RankingEmbedder()
    embedder.model = Diverged()
    with pytest.raises(FloatingPointError, match="scores are no longer finite in epoch 1; lower the learning rate"):
        validate(embedder=embedder)
