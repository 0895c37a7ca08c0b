"""What the served graph computes, against the model's own functions and NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.serving import mean_vectors
from tests.serving.catalogue import songs, untrained_run
from tfmmrec.data.histories import full_histories
from tfmmrec.embedding import raw_inputs
from tfmmrec.serving.serve_run import serve_run


@pytest.fixture(scope="module")
def run(song_run):
    return song_run


@pytest.fixture(scope="module")
def vectors(run, song_dataset):
    return run.embedder(song_dataset).candidates()


@pytest.fixture(scope="module")
def pooled(run, song_dataset):
    """What histories pool."""
    vectors = run.embedder(song_dataset).history_vectors()
    assert vectors is not None
    return vectors


def _ids(dataset, rows):
    return np.array(dataset.candidates.ids.to_pylist())[rows]


def _query_inputs(run, dataset, rows):
    raw = raw_inputs(run.model.query_tower, dataset.queries, run.config.data_schema.queries.features, rows)
    raw["id"] = dataset.queries.ids.to_numpy(zero_copy_only=False)[rows]
    return {
        f"query_{name}": tf.constant(value, tf.string if value.dtype == object else None) for name, value in raw.items()
    }


def _query_vectors(run, dataset, rows, history, table):
    """The model's own vectors of some queries; histories are lists of candidate rows."""
    tower = run.model.query_tower
    raw = raw_inputs(tower, dataset.queries, run.config.data_schema.queries.features, rows)
    inputs = tower.preprocess({name: tf.constant(value) for name, value in raw.items()})
    length = max(map(len, history))
    inputs["history"] = {"rows": tf.constant([list(one) + [-1] * (length - len(one)) for one in history])}
    return run.model.embed_queries(inputs, tf.constant(table)).numpy()


def test_a_repeated_id_counts_once(run, song_dataset, served, pooled):
    history = [["s1", "s2", "s1", "", "nobody"], ["s5", "s5", "s5", "s5", "s5"]]
    found = served.embed_query(**_query_inputs(run, song_dataset, [0, 1]), history=tf.constant(history))["vectors"]
    expected = _query_vectors(run, song_dataset, [0, 1], [[1, 2], [5]], pooled)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_source_is_the_best_that_is_known(served):
    asked = {
        "query_id": ["q1", "q1", "nobody", "nobody", "nobody", "", "q2"],
        "history": [["s1"], [], ["x", "s2"], ["x"], [], [], ["x"]],
        "query_age": [np.nan, np.nan, 30.0, 30.0, np.nan, np.nan, 30.0],
        "query_about": ["", "", "", "", "no word of it is known", "", ""],
    }
    asked["history"] = [ids + [""] * (5 - len(ids)) for ids in asked["history"]]
    found = served.recommend(**{name: tf.constant(value) for name, value in asked.items()})
    sources = ["history", "query", "history", "features", "popular", "popular", "query"]
    assert found["source"].numpy().astype(str).tolist() == sources


def test_an_id_alone_brings_its_history(run, song_dataset, served, pooled):
    """A batch of every case: the stored history, the one that is sent, one of unknown ids, and nobody."""
    stored = full_histories(song_dataset.train, np.arange(4), 5)
    assert (stored[:, 0] >= 0).all()
    sent = [[""] * 5, ["s1", "s2", "", "", ""], ["gone", "", "", "", ""], [""] * 5]
    inputs = _query_inputs(run, song_dataset, np.arange(4)) | {"query_id": tf.constant(["q0", "q1", "q2", "nobody"])}
    found = served.embed_query(**inputs, history=tf.constant(sent))["vectors"]
    histories = [[row for row in stored[0] if row >= 0], [1, 2], [row for row in stored[2] if row >= 0], [-1]]
    np.testing.assert_allclose(found, _query_vectors(run, song_dataset, range(4), histories, pooled), atol=1e-5)
    as_evaluated = run.embedder(song_dataset).queries(np.arange(4), served.index.vectors.numpy(), song_dataset.train)
    np.testing.assert_allclose(np.array(found)[[0, 2]], as_evaluated[[0, 2]], atol=1e-5)
    assert served.embed_query(tf.zeros([0], tf.string))["vectors"].shape == (0, 8)


def test_what_a_known_query_chose_is_never_recommended(song_dataset, served):
    """Also beside a history that is sent, and to those that get the popular."""
    ids = tf.constant(["q0", "q1", "nobody"])
    sent = tf.constant([[""] * 5, ["s1", "s2", "", "", ""], [""] * 5])
    found = served.recommend(ids, history=sent, k=tf.constant([30] * 3))["candidate_ids"].numpy().astype(str)
    chosen = [set(_ids(song_dataset, song_dataset.train.candidates_of(query))) for query in (0, 1)]
    for row, out in enumerate([chosen[0], chosen[1] | {"s1", "s2"}, set()]):
        assert set(found[row]) - {""} == set(song_dataset.candidates.ids.to_pylist()) - out


def test_an_index_of_other_candidates(song_dataset, tmp_path):
    """Only what the new index has is pooled; of a history that is gone nothing is known."""
    served = serve_run(untrained_run(song_dataset, tmp_path / "run", query_features=False), song_dataset)
    newest, *others = _ids(song_dataset, full_histories(song_dataset.train, np.array([1]), 5)[0]).tolist()[:3]
    index = served.index
    kept = {name: array.numpy() for name, array in index.arrays().items()}

    def replace(ids):
        rows = [list(_ids(song_dataset, range(30))).index(id) for id in ids]
        codes = tf.fill([len(ids), 1], -1)
        tables = (kept["vectors"][rows], kept["popularity"][rows], codes, tf.zeros([0], tf.string))
        index.replace(tf.constant(ids), *map(tf.constant, tables), tf.constant(kept["history_vectors"][rows]))

    replace([*others, "s29", "s28"])
    padded = tf.constant([others + [""] * 3])
    found = served.embed_query(tf.constant(["q1"]))["vectors"]
    np.testing.assert_allclose(found, served.embed_query(tf.constant([""]), history=padded)["vectors"], atol=1e-5)
    answer = served.recommend(tf.constant(["q1"]))
    assert answer["source"].numpy().tolist() == [b"query"]
    assert set(answer["candidate_ids"].numpy()[0]) - {b""} == {b"s29", b"s28"} and newest not in others
    replace(["s29", "s28"])
    assert served.recommend(tf.constant(["q1"]))["source"].numpy().tolist() == [b"popular"]


def test_nobody_knows_gives_the_popular(served, song_dataset):
    counts = song_dataset.train.counts()
    found = served.recommend(tf.constant(["nobody"]), k=tf.constant([30]), exclude=tf.constant([["s2"] + [""] * 99]))
    order = [row for row in np.argsort(-counts, kind="stable") if row != 2]
    assert found["candidate_ids"].numpy()[0, :-1].astype(str).tolist() == _ids(song_dataset, order).tolist()
    np.testing.assert_array_equal(found["scores"][0, :-1], counts[order])
    assert found["candidate_ids"].numpy()[0, -1] == b"" and np.isneginf(found["scores"][0, -1])


def test_the_history_is_not_recommended(run, song_dataset, served, vectors, pooled):
    history = tf.constant([["s1", "s2", "nobody", "", ""]])
    inputs = _query_inputs(run, song_dataset, [4])
    found = served.recommend(**inputs, history=history, k=tf.constant([30]))
    scores = vectors @ _query_vectors(run, song_dataset, [4], [[1, 2]], pooled)[0]
    scores[[1, 2, *song_dataset.train.candidates_of(4)]] = -np.inf
    np.testing.assert_allclose(found["scores"][0], np.sort(scores)[::-1], atol=1e-4)
    assert not {b"s1", b"s2"} & set(found["candidate_ids"].numpy()[0])


def test_candidates_nobody_has_seen(run, song_dataset, served, vectors):
    """A song's own content, without its id, is nearest to what is nearest to its content's vector."""
    tower = run.model.candidate_tower
    raw = raw_inputs(tower, song_dataset.candidates, run.config.data_schema.candidates.features, np.arange(30))
    inputs = tower.preprocess({name: tf.constant(value) for name, value in raw.items()})
    content = run.model.embed_candidates(inputs | {"id": {"row": tf.fill([30], -1)}}).numpy()
    content -= mean_vectors(run.model, served.content_sample, tower.encode(inputs))
    others = vectors - vectors.mean(axis=0)
    cosines = (content / np.linalg.norm(content, axis=1, keepdims=True)) @ others.T / np.linalg.norm(others, axis=1)
    given = {f"candidate_{name}": tf.constant(value) for name, value in raw.items() if name != "id"}
    found = served.search(**given, k=tf.constant([5]))
    np.testing.assert_allclose(found["scores"], -np.sort(-cosines, axis=1)[:, :5], atol=1e-5)
    rows = np.argsort(-cosines, axis=1)[:, 0]
    assert found["candidate_ids"].numpy()[:, 0].astype(str).tolist() == _ids(song_dataset, rows).tolist()


def test_content_that_is_not_there_is_near_nothing(served):
    found = served.search(tf.constant(["", "unheard words"]), k=tf.constant([3]))
    assert (found["candidate_ids"].numpy() == b"").all() and np.isneginf(found["scores"]).all()


def test_similar(song_dataset, served, vectors):
    found = served.similar(tf.constant(["s3", "nobody"]), k=tf.constant([29, 2]))
    others = vectors - vectors.mean(axis=0)
    unit = others / np.linalg.norm(others, axis=1, keepdims=True)
    cosines = unit @ unit[3]
    cosines[3] = -np.inf
    np.testing.assert_allclose(found["scores"][0], np.sort(cosines)[:0:-1], atol=1e-5)
    assert b"s3" not in found["candidate_ids"].numpy()[0]
    assert (found["candidate_ids"].numpy()[1] == b"").all()


def test_one_query_against_many_candidates(run, song_dataset, served, vectors, pooled):
    raw = raw_inputs(
        run.model.candidate_tower, song_dataset.candidates, song_dataset.schema.candidates.features, [0, 1, 2]
    )
    candidates = {f"candidate_{name}": tf.constant(value) for name, value in raw.items()}
    found = served.score(
        **_query_inputs(run, song_dataset, [4]), **candidates, history=tf.constant([["s7"] + [""] * 4])
    )
    expected = vectors[:3] @ _query_vectors(run, song_dataset, [4], [[7]], pooled)[0]
    np.testing.assert_allclose(found["scores"], expected, atol=1e-4)


def test_filters_reach_every_list(served, song_dataset):
    allow = tf.constant([["artist=artist 2"] + [""] * 15])
    artists = np.array(song_dataset.candidates.features["artist"].to_pylist())
    for function, key in ((served.recommend, "q1"), (served.similar, "s1"), (served.search, "slow fast")):
        found = function(tf.constant([key]), allow=allow, k=tf.constant([30]))["candidate_ids"].numpy()[0].astype(str)
        rows = [int(id[1:]) for id in found if id]
        assert rows and set(artists[rows]) == {"artist 2"}
        capped = function(tf.constant([key]), cap=tf.constant([1]), k=tf.constant([30]))["candidate_ids"].numpy()[0]
        genres = song_dataset.candidates.features["genre"].to_pylist()
        first = [(genres[int(id[1:])] or "").split("|")[0] for id in capped.astype(str) if id]
        assert sorted(first).count("rock") == 1 and first.count("jazz") == 1


@pytest.mark.parametrize("history_tower", [True, False])
def test_histories_read_the_index(history_tower, song_dataset, tmp_path):
    """Refreshed candidates count: another index, other vectors of the same history."""
    served = serve_run(untrained_run(song_dataset, tmp_path / "run", history_tower=history_tower), song_dataset)
    assert ("history_vectors" in served.index.arrays()) == history_tower, "no array is there twice"
    table = served.index.history_vectors if history_tower else served.index.vectors
    before = served.embed_query(tf.constant(["q1"]), history=tf.constant([["s1"] + [""] * 4]))["vectors"].numpy()
    table.assign(table[::-1])
    after = served.embed_query(tf.constant(["q1"]), history=tf.constant([["s1"] + [""] * 4]))["vectors"].numpy()
    assert np.abs(before - after).max() > 1e-3


def test_a_candidate_is_embedded_as_the_index_has_it(run, song_dataset, served, vectors, pooled):
    raw = raw_inputs(
        run.model.candidate_tower, song_dataset.candidates, song_dataset.schema.candidates.features, [0, 5]
    )
    found = served.embed_candidate(**{f"candidate_{name}": tf.constant(value) for name, value in raw.items()})
    np.testing.assert_allclose(found["vectors"], vectors[[0, 5]], atol=1e-5)
    np.testing.assert_allclose(found["history_vectors"], pooled[[0, 5]], atol=1e-5)


def test_without_history_in_the_model_it_is_still_left_out(tmp_path):
    dataset = songs(history=False)
    served = serve_run(untrained_run(dataset, tmp_path / "run", "id_only"), dataset)
    history = tf.constant([["s1", "s2"] + [""] * 48])
    found = served.recommend(tf.constant(["q1", "nobody"]), history=history, k=tf.constant([30]))
    assert found["source"].numpy().astype(str).tolist() == ["query", "popular"]
    assert not {b"s1", b"s2"} & set(found["candidate_ids"].numpy().ravel())
    chosen = set(_ids(dataset, dataset.train.candidates_of(1)))
    assert not chosen & set(found["candidate_ids"].numpy()[0].astype(str))
