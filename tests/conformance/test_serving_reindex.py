"""A saved model gets a larger index from raw content and is saved again, without a class of this project."""

from __future__ import annotations

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from tests.conformance.reindexing import reindex
from tests.conformance.serving import PythonModel, ServedCase, as_it_is, ask_stock_runtime, check_ranking, make_run
from tests.serving.catalogue import songs
from tfmmrec.serving.export import export_run

pytestmark = pytest.mark.slow  # an approximate index is given other candidates quickly, in test_serving_index_kinds
NOTHING = {
    "query_about": np.array([""]),
    "query_tastes": np.array([[""] * 4]),
    "query_age": np.array([np.nan]),
    "query_face": np.zeros([1, 3]),
}


@pytest.fixture(
    scope="module",
    params=[
        ServedCase("songs", "two_tower"),
        ServedCase("songs", "two_tower", (("history_tower", False),)),
        ServedCase("songs", "linear_blend", (("rank", 8),)),
    ],
    ids=["history tower", "one table", "factors"],
)
def reindexed(request, tmp_path_factory):
    """A model of 30 songs, the same with 50, and what both answer."""
    folder = tmp_path_factory.mktemp("reindex")
    few, many = songs(num_candidates=30), songs(num_candidates=50)
    run = make_run(request.param, few, folder / "run")
    old, new = export_run(run, folder / "old", few), folder / "new"
    reindex(old, new, run, many)
    length = many.schema.queries.history.length
    one = [("embed_query", {"query_id": np.array([""]), "history": np.array([["s40"] + [""] * (length - 1)])})]
    answers = ask_stock_runtime([(old, one), (new, [*one, *_requests(length)])], folder, as_it_is)
    return old, new, PythonModel(run, many, few), many, answers


def _defaults(path):
    content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    signatures = content.meta_graphs[0].signature_def
    return {name: (sorted(entry.inputs), sorted(entry.defaults)) for name, entry in signatures.items()}


def test_signatures_and_their_defaults_are_kept(reindexed):
    old, new, *_ = reindexed
    assert _defaults(new) == _defaults(old)
    assert len(_defaults(new)["recommend"][1]) > 5


def _requests(length):
    history = np.array([["s40", "s2"] + [""] * (length - 2)])
    artist = np.array([["artist=artist 3"] + [""] * 15])
    return [
        ("similar", {"candidate_id": np.array(["s40"]), "k": np.array([50], np.int32)}),
        ("recommend", {"query_id": np.array(["q1"]), "history": history, "k": np.array([50], np.int32)}),
        ("recommend", {"query_id": np.array(["nobody"]), "allow": artist, "k": np.array([50], np.int32)}),
        ("embed_query", {"query_id": np.array(["q1"]), "history": history}),
        ("recommend", {"query_id": np.array(["q1"]), "k": np.array([50], np.int32)}),
        ("embed_query", {"query_id": np.array(["q1"])}),
    ]


def test_every_answer_is_by_the_new_candidates(reindexed):
    _, _, model, dataset, [_, [_, similar, recommended, popular, embedded, alone, embedded_alone]] = reindexed
    length = dataset.schema.queries.history.length
    cosines = model.cosines(model.vectors[40:41] - model.vectors.mean(axis=0))[0]
    cosines[40] = -np.inf
    check_ranking(model, similar, 0, cosines, 50)
    scores = embedded["vectors"] @ model.vectors.T
    scores[0, [40, 2, *model.stored("q1")]] = -np.inf
    check_ranking(model, recommended, 0, scores[0], 50)
    assert recommended["source"].tolist() == [b"history"]
    scores = model.query({"query_id": np.array(["q1"])}, NOTHING | {"history": np.array([[""] * length])})
    np.testing.assert_allclose(embedded_alone["vectors"], scores, rtol=1e-4, atol=1e-5)
    scores = scores @ model.vectors.T
    scores[0, model.stored("q1")] = -np.inf
    check_ranking(model, alone, 0, scores[0], 50)
    assert alone["source"].tolist() == [b"query"] and len(model.stored("q1")) > 1
    expected = np.where(np.arange(50) % 5 == 3, dataset.train.counts(), -np.inf)
    check_ranking(model, popular, 0, expected, 50)
    assert popular["source"].tolist() == [b"popular"]


def test_a_new_candidate_in_a_history_counts(reindexed):
    _, _, model, dataset, [[before], [after, *_]] = reindexed
    length = dataset.schema.queries.history.length
    history = np.array([["s40"] + [""] * (length - 1)])
    nothing = np.array([[""] * length])
    empty = np.array([""])
    np.testing.assert_allclose(
        before["vectors"], model.query({"query_id": empty, "history": nothing}, NOTHING), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        after["vectors"], model.query({"query_id": empty, "history": history}, NOTHING), rtol=1e-4, atol=1e-5
    )
    assert np.abs(before["vectors"] - after["vectors"]).max() > 1e-3
