import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.embedding import raw_inputs
from tfmmrec.search.candidate_parts import CandidateParts
from tfmmrec.search.query_histories import QueryHistories
from tfmmrec.serving.pair_model import PairModel
from tfmmrec.serving.serve_run import serve_run

PARTS = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
QUERIES = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


class _Products:
    """A ranking model whose scores are products; notes how many pairs it is given at a time."""

    def __init__(self, pairs_at_once):
        self.pairs_at_once = pairs_at_once
        self.sizes = []

    def score_pairs(self, query, candidate, training):
        assert not training
        tf.py_function(lambda n: self.sizes.append(int(n)), [tf.shape(query)[0]], [])
        return tf.reduce_sum(query * candidate, axis=1)


@pytest.mark.parametrize("num_pairs", [0, 1, 3, 6, 11])
def test_pairs_are_scored_some_at_a_time(num_pairs):
    model = _Products(3)
    histories = QueryHistories([], np.zeros(1, np.int64), np.zeros(0, np.int64), [])
    pairs = PairModel(model, CandidateParts([f"c{i}" for i in range(9)], PARTS), histories)
    random = np.random.default_rng(2)
    places, rows = random.integers(0, 5, num_pairs), random.integers(0, 9, num_pairs)
    arguments = tf.constant(places, tf.int32), tf.constant(rows, tf.int32)
    specs = [tf.TensorSpec([None, 4], tf.float32), tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32)]
    found = tf.function(pairs.pair_scores, autograph=False, input_signature=specs)(tf.constant(QUERIES), *arguments)
    np.testing.assert_allclose(found, np.sum(QUERIES[places] * PARTS[rows], axis=1), rtol=1e-5, atol=1e-6)
    assert model.sizes == [3] * (num_pairs // 3) + [num_pairs % 3] * (num_pairs % 3 > 0)


def test_as_many_at_a_time_as_suit_the_model(ranking_run):
    histories = QueryHistories([], np.zeros(1, np.int64), np.zeros(0, np.int64), [])
    parts = CandidateParts([], np.zeros([0, 2]))
    assert PairModel(ranking_run.model, parts, histories).pairs_at_once == 8192
    assert PairModel(_Products(17), parts, histories).pairs_at_once == 17


def test_a_score_is_the_model_s(ranking_run, song_dataset):
    """With raw inputs: a history that is sent, one that the id brings, and one of nobody."""
    served, model = serve_run(ranking_run, song_dataset), ranking_run.model
    parts = ranking_run.embedder(song_dataset).candidates()
    raw = raw_inputs(model.candidate_tower, song_dataset.candidates, song_dataset.schema.candidates.features, [3, 4, 5])
    candidates = {f"candidate_{name}": tf.constant(value) for name, value in raw.items()}
    np.testing.assert_allclose(served.embed_candidate(**candidates)["parts"], parts[3:6], rtol=1e-4, atol=1e-5)
    own = raw_inputs(model.query_tower, song_dataset.queries, song_dataset.schema.queries.features, [1, 1, 1])
    queries = {f"query_{name}": tf.constant(value) for name, value in own.items()}
    sent = [["s7", "s9", "", "", ""], [""] * 5, ["gone", "", "", "", ""]]
    asked = queries | {"query_id": tf.constant(["q1", "q1", "nobody"]), "history": tf.constant(sent)}
    found = served.score(**asked, **candidates)["scores"]
    stored = song_dataset.train.candidates_of(1)[::-1][:5].tolist()
    rows = [row + [-1] * (5 - len(row)) for row in ([7, 9], stored, [])]
    inputs = model.query_tower.preprocess({name: tf.constant(value) for name, value in own.items()})
    embedded = model.embed_queries(inputs | {"history": {"rows": tf.constant(rows)}}, tf.constant(parts))
    expected = model.score_pairs(embedded, tf.constant(parts[3:6]))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    as_evaluated = ranking_run.embedder(song_dataset).queries(np.array([1]), parts, song_dataset.train)
    np.testing.assert_allclose(embedded[1:2], as_evaluated, rtol=1e-4, atol=1e-5)
