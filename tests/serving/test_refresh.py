import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.serving.catalogue import recordings, untrained_run
from tests.serving.tables import first_candidates, write_candidates
from tfmmrec.serving.contents import read_contents
from tfmmrec.serving.evaluation_queries import read_evaluation
from tfmmrec.serving.export import export_run
from tfmmrec.serving.exported_model import load_exported, read_extra
from tfmmrec.serving.indexed_tables import indexed_popularity, indexed_tables
from tfmmrec.serving.refresh import refresh_index
from tfmmrec.types import DataError, UsageError

LESS = 26  # songs, of 30: no interaction has one of the others


@pytest.fixture
def smaller(smaller_export):
    return smaller_export


def tables(model):
    ids = model.candidates["candidate_id"].to_pylist()
    return indexed_tables(model.module.index, ids) | {"popularity": indexed_popularity(model.module.index, ids)}


def rows_encoded(model):
    """The number of candidates that the model encodes from now on, as a list that grows."""
    asked, ask_many = [], model.ask_many

    def counting(signature, **inputs):
        if signature == "embed_candidate":
            asked.append(len(inputs["candidate_id"]))
        return ask_many(signature, **inputs)

    model.ask_many = counting
    return asked


@pytest.mark.parametrize("kind", ["retrieval", pytest.param("cascade", marks=pytest.mark.slow)])
def test_the_refreshed_export_is_the_one_that_has_had_the_candidates(
    kind, request, smaller, loaded, song_run, ranking_run, song_dataset, tmp_path
):
    """s26 to s29 are new, s24 and s25 are given as they were."""
    old, expected = smaller, loaded
    if kind == "cascade":
        less = first_candidates(song_dataset, LESS)
        old = export_run(ranking_run, tmp_path / "smaller", less, retriever=song_run)
        expected = request.getfixturevalue("loaded_cascade")
    table = write_candidates(tmp_path / "new.parquet", song_dataset, list(range(24, 30)))
    done = refresh_index(old, tmp_path / "new", table)
    assert done.counts() == {
        "num_candidates": 30, "added": 4, "changed": 0, "unchanged": 2, "removed": 0, "encoded": 4
    }  # fmt: skip
    assert not done.issues and not done.notes
    new = load_exported(tmp_path / "new")
    assert new.candidates.to_pylist() == expected.candidates.to_pylist()
    wanted = tables(expected)
    assert set(tables(new)) == set(wanted)
    for name, table in tables(new).items():
        np.testing.assert_allclose(table, wanted[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert read_contents(new.path) == read_contents(expected.path)
    sizes, wanted_sizes = read_extra(new.path, "size.json"), read_extra(expected.path, "size.json")
    assert sizes["index"] == wanted_sizes["index"]
    assert sizes["content_sample"] == read_extra(old, "size.json")["content_sample"], "a sample of the old ones stays"
    arrays = [entry for group in sizes.values() if isinstance(group, dict) for entry in group.values()]
    assert sizes["total_bytes"] == sum(entry["bytes"] for entry in arrays)
    assert read_extra(new.path, "model.json") == expected.about | {"refreshed": done.counts()}
    for name in ("schema.json", "signatures.json", "tf_serving_warmup_requests"):
        kept, was = (folder / "assets.extra" / name for folder in (tmp_path / "new", old))
        assert kept.read_bytes() == was.read_bytes()
    questions = [
        ("recommend", {"query_id": "q1", "k": 30}),
        ("recommend", {"query_id": "q1", "k": 30, "allow": ["genre=folk"], "deny": ["artist=artist 2"]}),
        ("recommend", {"query_id": "", "history": ["s28", "s3"], "cap": 2, "k": 9}),
        ("similar", {"candidate_id": "s27", "k": 30}),
    ]
    for signature, inputs in questions:
        answer, wanted = new.ask(signature, **inputs), expected.ask(signature, **inputs)
        kept = np.isfinite(wanted["scores"])
        assert kept.any() and (np.isfinite(answer["scores"]) == kept).all()
        assert sorted(answer["candidate_ids"]) == sorted(wanted["candidate_ids"])
        np.testing.assert_allclose(answer["scores"][kept], wanted["scores"][kept], rtol=1e-3, atol=1e-4)
    assert read_evaluation(new.path).added_ids == ["s26", "s27", "s28", "s29"]
    found = new.ask("search", candidate_title="slow warm dark", k=30)["candidate_ids"]
    assert sorted(found) == sorted(f"s{row}" for row in range(30))


def test_only_what_is_new_or_has_changed_is_encoded(smaller, song_dataset, tmp_path):
    rows = list(range(10, 29))
    titles = song_dataset.candidates.features["title"].take(rows).to_pylist()
    titles[2] = "something else altogether"  # s12
    genres = song_dataset.candidates.features["genre"].take(rows).to_pylist()
    genres[3] = "polka"  # s13
    table = write_candidates(tmp_path / "new.parquet", song_dataset, rows, title=titles, genre=genres)
    model = load_exported(smaller)
    before, asked = tables(model), rows_encoded(model)
    done = refresh_index(model, tmp_path / "new", table)
    assert sum(asked) == 5 and asked == [5], "s12, s13, and the new s26, s27, s28"
    assert (done.added, done.changed, done.unchanged, done.encoded) == (3, 2, 14, 5)
    new = load_exported(tmp_path / "new")
    after = tables(new)
    same = [row for row in range(LESS) if row not in (12, 13)]
    np.testing.assert_array_equal(after["vectors"][same], before["vectors"][same])
    assert (after["vectors"][[12, 13]] != before["vectors"][[12, 13]]).any(axis=1).all()
    made = new.ask("embed_candidate", candidate_id="s12", **_described(new, table, "s12"))
    np.testing.assert_allclose(after["vectors"][12], made["vectors"], rtol=1e-5, atol=1e-6)
    assert new.ask("recommend", query_id="", allow=["genre=polka"], k=5)["candidate_ids"].tolist() == ["s13"]
    assert new.absent_values(["genre=polka", "genre=folk", "genre=swing"]) == ["genre=swing"]
    assert new.display_of(["s12"])[0]["title"] == "something else altogether"
    assert after["popularity"].tolist() == [*before["popularity"], 0, 0, 0]
    asked = rows_encoded(new)
    assert refresh_index(new, tmp_path / "newer", table).counts() == {
        "num_candidates": 29, "added": 0, "changed": 0, "unchanged": 19, "removed": 0, "encoded": 0
    }  # fmt: skip
    assert not asked


def _described(model, table, id):
    row = next(row for row in pq.read_table(table).to_pylist() if row["song"] == id)
    features = model.schema.candidates.features
    return {f"candidate_{name}": row[name] for name in features if row[name] is not None}


def test_removed_candidates_are_gone_everywhere(smaller, loaded_smaller, tmp_path):
    queries = read_evaluation(smaller)
    gone = [*queries.positives[0], "s3", "s999"]
    done = refresh_index(smaller, tmp_path / "new", removed=gone)
    new, old = load_exported(tmp_path / "new"), loaded_smaller
    assert (done.num_candidates, done.removed, done.encoded) == (LESS - len(gone) + 1, len(gone) - 1, 0)
    assert done.notes[0] == "to be removed, but not in the index: s999"
    assert done.notes[1].startswith("1 of the ") and "looked for removed candidates only" in done.notes[1]
    ids = new.candidates["candidate_id"].to_pylist()
    assert not set(gone) & set(ids) and read_contents(new.path).ids == ids
    rows = old.rows_of(ids)
    for name, table in tables(new).items():
        np.testing.assert_array_equal(table, tables(old)[name][rows])
    left = read_evaluation(new.path)
    assert queries.query_ids[0] not in left.query_ids and len(left) == len(queries) - 1
    found = new.ask("recommend", query_id="q3", k=40)["candidate_ids"]
    assert len(found) and not set(gone) & set(found)
    assert new.ask("similar", candidate_id="s3", k=3)["candidate_ids"].tolist() == []


@pytest.mark.slow
def test_a_ranking_model_alone(ranking_run, exported_ranker, song_dataset, tmp_path):
    """Its histories pool the candidates' parts; without histories it knows no candidates."""
    old = export_run(ranking_run, tmp_path / "old", first_candidates(song_dataset, LESS))
    table = write_candidates(tmp_path / "new.parquet", song_dataset, [25, 26, 27, 28, 29])
    done = refresh_index(old, tmp_path / "new", table, ["s4"])
    assert (done.added, done.unchanged, done.removed) == (4, 1, 1)
    new = load_exported(tmp_path / "new")
    whole = load_exported(exported_ranker)
    expected = np.delete(indexed_tables(whole.module.index, [f"s{i}" for i in range(30)])["parts"], 4, axis=0)
    found = indexed_tables(new.module.index, new.candidates["candidate_id"].to_pylist())["parts"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    given = {"query_id": "", "history": ["s27", "s2"], "candidate_title": "slow"}
    np.testing.assert_allclose(new.ask("score", **given)["scores"], whole.ask("score", **given)["scores"], rtol=1e-4)


@pytest.mark.slow
def test_a_picture_or_sound_that_cannot_be_read_is_counted_and_survived(tmp_path):
    dataset = recordings()
    run = untrained_run(dataset, tmp_path / "run")
    old = export_run(run, tmp_path / "old", first_candidates(dataset, 17))
    sounds = dataset.candidates.features["sound"].take([16, 17, 18, 19]).to_pylist()
    sounds[2] = b"RIFF and no sound"
    table = write_candidates(tmp_path / "new.parquet", dataset, [16, 17, 18, 19], sound=sounds)
    done = refresh_index(old, tmp_path / "new", table)
    assert (done.added, done.unchanged, done.encoded) == (3, 1, 3)
    assert len(done.issues) == 1 and done.issues[0].count == 1 and "new.parquet, sound" in str(done.issues[0])
    whole = tables(load_exported(export_run(run, tmp_path / "whole", dataset)))["vectors"]
    np.testing.assert_allclose(
        tables(load_exported(tmp_path / "new"))["vectors"][[17, 19]], whole[[17, 19]], rtol=1e-4, atol=1e-5
    )


def test_a_candidate_that_the_model_cannot_encode_is_left_out(smaller, loaded_smaller, song_dataset, tmp_path):
    """A new one is not taken in; of an old one everything stays."""
    table = write_candidates(tmp_path / "new.parquet", song_dataset, [0, 26, 27], title=["broken", "new", "broken"])
    model = load_exported(smaller)
    ask_many = model.ask_many

    def diverging(signature, **inputs):
        found = ask_many(signature, **inputs)
        return {
            name: np.where((inputs["candidate_title"] == "broken")[:, None], np.nan, t) for name, t in found.items()
        }

    model.ask_many = diverging
    before = tables(model)["vectors"]
    done = refresh_index(model, tmp_path / "new", table)
    assert (done.num_candidates, done.added, done.changed, done.unchanged) == (LESS + 1, 1, 0, 0)
    assert done.issues[0].count == 2 and "row 1: it has no finite vector" in str(done.issues[0])
    new = load_exported(tmp_path / "new")
    np.testing.assert_array_equal(tables(new)["vectors"][:LESS], before)
    assert new.display_of(["s0"]) == loaded_smaller.display_of(["s0"])
    assert new.rows_of(["s26", "s27"]) == [26, -1]
    broken = write_candidates(tmp_path / "broken.parquet", song_dataset, [0, 27], title=["broken"] * 2)
    with pytest.raises(
        DataError, match="none of its 2 candidates can be encoded, and none is removed, .* row 1: it has"
    ):
        refresh_index(model, tmp_path / "newest", broken, ["s999"])
    assert not (tmp_path / "newest").exists()


def test_refusals(smaller, loaded_smaller, song_dataset, tmp_path, monkeypatch):
    table = write_candidates(tmp_path / "new.parquet", song_dataset, [0, 26])
    to = tmp_path / "new"
    with pytest.raises(UsageError, match="nothing is asked of the index"):
        refresh_index(smaller, to)
    with pytest.raises(DataError, match="'s26' is to be removed, too"):
        refresh_index(loaded_smaller, to, table, ["s26"])
    with pytest.raises(UsageError, match="every candidate is to be removed"):
        refresh_index(loaded_smaller, to, removed=[f"s{i}" for i in range(30)])
    assert not to.exists()
    (shutil.copytree(smaller, tmp_path / "older") / "assets.extra" / "contents.parquet").unlink()
    monkeypatch.setattr(loaded_smaller, "path", str(tmp_path / "older"))
    with pytest.raises(DataError, match="does not remember its candidates' contents"):
        refresh_index(loaded_smaller, to, table)
