import io

import numpy as np
import pytest
from PIL import Image

from tests.serving.catalogue import as_exported, fashion, recordings, untrained_run
from tfmmrec.serving.answers import answer, feature_value, media
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.types import DataError, UsageError


@pytest.fixture
def model(loaded):
    return loaded


@pytest.fixture(scope="module")
def garments(tmp_path_factory):
    """A catalogue with pictures, and its model, which looks at no features of queries."""
    folder = tmp_path_factory.mktemp("fashion")
    dataset = fashion(folder / "data")
    run = untrained_run(dataset, folder / "run", candidate_id=False, query_features=False)
    return dataset, as_exported(run, dataset, folder / "export")


NOT_GIVEN = "the query's features (about, tastes, age) were not given: add --dataset or --feature NAME=VALUE"


def test_a_known_query(model):
    found = answer(model, query_id="q1", k=3)
    assert (found.source, found.notes, len(found.candidates)) == ("query", [NOT_GIVEN], 3)
    assert answer(model, query_id="q1", features={"age": "30"}).notes == []
    scores = [entry.score for entry in found.candidates]
    assert scores == sorted(scores, reverse=True)
    assert set(found.candidates[0].display) == {"title", "mood"}


def test_what_a_known_query_chose_is_left_out(model, song_dataset):
    seen = song_dataset.candidates.ids.take(song_dataset.train.candidates_of(1)).to_pylist()
    found = {entry.candidate_id for entry in answer(model, query_id="q1", k=30).candidates}
    assert found == set(song_dataset.candidates.ids.to_pylist()) - set(seen) and len(found) < 30


def test_a_known_query_that_the_model_cannot_use(song_dataset, tmp_path):
    """It sees features alone: the id tells what to leave out, and nobody is told that it is unknown."""
    run = untrained_run(song_dataset, tmp_path / "run", query_id=False, history=False)
    model = as_exported(run, song_dataset, tmp_path / "export")
    found = answer(model, query_id="q1", k=30)
    assert found.source == "popular" and "most popular" in found.notes[0] and found.notes[1:] == [NOT_GIVEN]
    assert len(found.candidates) == 30 - len(set(song_dataset.train.candidates_of(1)))
    found = answer(model, query_id="q1", features={"age": "30"})
    assert (found.source, found.notes) == ("features", [])
    found = answer(model, query_id="nobody", features={"age": "30"})
    assert (found.source, found.notes) == ("features", ["the query 'nobody' is unknown to the model"])


def test_a_dataset_knows_more_of_a_query(model, song_dataset):
    seen = song_dataset.candidates.ids.take(song_dataset.train.candidates_of(1)).to_pylist()
    found = answer(model, query_id="q1", k=30, dataset=song_dataset)
    ids = [entry.candidate_id for entry in found.candidates]
    assert not set(ids) & set(seen) and len(ids) == 30 - len(set(seen))
    raw = {name: song_dataset.queries.features[name] for name in ("about", "age", "face", "tastes")}
    inputs = {
        "query_about": raw["about"][1].as_py(),
        "query_age": raw["age"][1],
        "query_face": raw["face"][1],
        "query_tastes": raw["tastes"][1].as_py(),
        "history": seen[::-1],
    }
    expected = model.ask("recommend", query_id="q1", k=30, **inputs)
    np.testing.assert_allclose([entry.score for entry in found.candidates], expected["scores"][: len(ids)], atol=1e-5)
    changed = answer(model, query_id="q1", k=30, dataset=song_dataset, features={"age": 99.0})
    assert changed.candidates[0].score != found.candidates[0].score, "what is given outweighs the dataset"
    assert (found.source, found.notes) == ("history", []), "the dataset's history is sent along"
    found = answer(model, query_id="stranger", dataset=song_dataset)
    assert found.source == "popular" and "the dataset has no query 'stranger'" in found.notes


def test_an_unknown_query_gets_the_popular_and_is_told(model):
    found = answer(model, query_id="nobody", k=2)
    assert found.source == "popular"
    assert found.notes[0] == "the query 'nobody' is unknown to the model"
    assert "these are the most popular candidates" in found.notes[1]


def test_a_model_that_looks_at_no_features_asks_for_none(garments):
    dataset, model = garments
    assert dataset.schema.queries.features
    found = answer(model, query_id=dataset.queries.ids[1].as_py())
    assert (found.source, found.notes) == ("query", [])


def test_values_that_the_model_does_not_know_are_named(model):
    found = answer(model, query_id="q1", features={"tastes": "rock, polka ,folk", "about": "unheard"})
    assert found.notes == ["unknown to the model: tastes=polka"]
    assert answer(model, query_id="q1", features={"tastes": ["rock", "folk"]}).notes == []
    found = answer(model, features={"genre": "folk|swing", "artist": "artist 9", "mood": "sad,grim"})
    assert found.notes == ["unknown to the model: genre=swing, mood=grim, artist=artist 9"]
    assert answer(model, features={"genre": "folk|rock", "artist": "artist 1", "mood": "sad"}).notes == []


def test_what_cannot_be_excluded_is_named(model):
    for question in ({"history": ["s1"]}, {"text": "slow cold"}):
        found = answer(model, exclude=["s3", "zz", "yy"], k=30, **question)
        assert found.notes == ["to be excluded, but unknown to the model: zz, yy"]
        assert "s3" not in {entry.candidate_id for entry in found.candidates}


def test_filters(model, song_dataset):
    ids, artists = song_dataset.candidates.ids.to_pylist(), song_dataset.candidates.features["artist"].to_pylist()
    own = {id for id, artist in zip(ids, artists, strict=True) if artist == "artist 1"}
    for question in ({"history": ["s2"]}, {"features": {"sound": "1,0,0,1"}}):
        found = answer(model, allow=["artist=artist 1"], k=30, **question)
        assert {entry.candidate_id for entry in found.candidates} == own and found.notes == []
        found = answer(model, deny=["artist=artist 1"], k=30, **question)
        left = {entry.candidate_id for entry in found.candidates}
        assert left == set(ids) - own - set(question.get("history", [])) and found.notes == []
        scores = [entry.score for entry in answer(model, k=30, **question).candidates]
        found = answer(model, min_score=scores[4] - 1e-4, k=30, **question)
        assert [entry.score for entry in found.candidates] == pytest.approx(scores[:5], abs=1e-5)
        capped = [entry.candidate_id for entry in answer(model, cap=1, k=30, **question).candidates]
        genres = dict(zip(ids, song_dataset.candidates.features["genre"].to_pylist(), strict=True))
        first = [genres[id].split("|")[0] for id in capped if genres[id]]
        assert len(first) == len(set(first)) == 3, "rock, folk and jazz"
        found = answer(model, allow=["genre=polka"], **question)
        assert found.candidates == [] and found.notes == [
            "to be allowed or denied, but no candidate has it: genre=polka",
            "no candidate is left: none that was found passes allow genre=polka; change it, or leave it out",
        ]
    found = answer(model, query_id="nobody", allow=["genre=polka"])
    assert found.source == "popular" and not any("most popular" in note for note in found.notes)
    found = answer(model, history=["s1"], exclude=ids)
    assert (found.candidates, found.notes) == ([], ["no candidate is left: all are excluded, or were chosen before"])


def test_a_history(model):
    found = answer(model, history=["s1", "zz", "s1", "s2"], exclude=["s3"], k=30)
    assert found.source == "history" and found.notes == ["unknown to the model: zz"]
    ids = {entry.candidate_id for entry in found.candidates}
    assert len(ids) == 27 and not {"s1", "s2", "s3"} & ids
    assert answer(model, history=[f"s{i}" for i in range(20)]).source == "history", "the newest that fit are taken"


def test_features_alone_go_to_the_side_that_has_them(model):
    assert answer(model, features={"age": "30", "tastes": "rock,folk"}).source == "features"
    assert answer(model, features={"sound": "1,0,0,1", "mood": "sad,glad"}).source == "content"


def test_words_that_nobody_has_written(model):
    found = answer(model, text="slow cold dark", features={"length": "180"}, k=4)
    assert found.source == "content" and len(found.candidates) == 4
    assert all(-1 <= entry.score <= 1.0001 for entry in found.candidates)
    found = answer(model, text="unheard")
    assert found.candidates == [] and found.notes == [
        "the model sees nothing that it knows in this content, so nothing is near it"
    ]


def test_a_picture_and_words_that_nobody_has_seen(garments, tmp_path):
    _, model = garments
    random = np.random.default_rng(1)
    Image.fromarray(random.integers(0, 255, (40, 30, 3), np.uint8)).save(tmp_path / "new.webp")
    found = answer(model, image=tmp_path / "new.webp", text="a silk dress for the evening", k=5)
    assert found.source == "content" and len(found.candidates) == 5 and found.candidates[0].display["title"]
    alone = answer(model, image=(tmp_path / "new.webp").read_bytes(), k=5)
    assert [entry.score for entry in alone.candidates] != [entry.score for entry in found.candidates]
    single = answer(model, features={"picture": str(tmp_path / "new.webp")}, k=5)
    assert single.candidates == alone.candidates


def test_what_is_in_the_catalogue_is_nearest_to_its_own_content(garments):
    dataset, model = garments
    row = next(row for row in range(120) if dataset.candidates.media_bytes("picture", [row])[0])
    features = {name: column[row] for name, column in dataset.candidates.features.items()}
    features = {name: value.as_py() if hasattr(value, "as_py") else value for name, value in features.items()}
    features["picture"] = dataset.root / features["picture"]
    found = answer(model, features=features, k=2).candidates
    assert found[0].candidate_id == dataset.candidates.ids[row].as_py()
    assert found[0].score == pytest.approx(1.0, abs=1e-4) and found[1].score < 0.9999
    assert found[0].display["picture"] == dataset.candidates.display["picture"][row].as_py()


def test_sounds_and_videos_are_asked_with_as_files_or_bytes(tmp_path):
    dataset, small = recordings(), {"audio_seconds": 0.2, "video_frames": 3, "candidate_id": False}
    model = as_exported(untrained_run(dataset, tmp_path / "run", **small), dataset, tmp_path / "export")
    title, sound, cover = (dataset.candidates.features[name][7].as_py() for name in ("title", "sound", "cover"))
    (tmp_path / "hum.wav").write_bytes(sound)
    found = answer(model, audio=tmp_path / "hum.wav", video=cover, text=title, k=2).candidates
    assert found[0].candidate_id == "r7" and found[0].score == pytest.approx(1.0, abs=1e-3)
    assert answer(model, features={"sound": str(tmp_path / "hum.wav")}, k=2) == answer(model, audio=sound, k=2)
    with pytest.raises(UsageError, match="candidates have no image feature; they have title, sound, cover"):
        answer(model, image=b"any")
    with pytest.raises(DataError, match="hum.wav: not a video"):
        answer(model, video=tmp_path / "hum.wav")
    with pytest.raises(DataError, match="the sound: not a sound"):
        answer(model, audio=cover)


QUESTIONS = [
    ({}, "nothing is asked; give a query id, a history, an image, audio, a video, a text, or features"),
    ({"query_id": "q1", "history": ["s1"]}, "a known query or a history, not both"),
    ({"query_id": "q1", "text": "x"}, "give one of the two"),
    ({"query_id": "q1", "k": 0}, "k must lie in 1 to 1000, got 0"),
    (
        {"query_id": "q1", "features": {"title": "x"}},
        "no feature is called 'title'; there are about, tastes, age, face",
    ),
    ({"query_id": "q1", "features": {"age": "old"}}, "feature age: expected a number, got 'old'"),
    ({"features": {"age": "30", "title": "x"}}, "neither queries nor candidates have all of age, title"),
    ({"image": b""}, "candidates have no image feature; they have title, genre"),
    ({"text": "x", "features": {"sound": "1;2"}}, "feature sound: expected numbers between commas, got '1;2'"),
    ({"text": "x", "features": {"sound": "1,2"}}, r"candidate_sound must have the shape \[4\], got \[2\]"),
    ({"query_id": "q1", "exclude": ["s1"] * 101}, "exclude takes at most 100 entries, got 101"),
    ({"query_id": "q1", "cap": 0}, "cap must be at least 1, got 0"),
    ({"query_id": "q1", "allow": ["title=slow"]}, "cannot be filtered by 'title', only by genre, mood, artist"),
    ({"text": "slow", "deny": ["folk"]}, "deny takes feature=value, such as genre=VALUE; got 'folk'"),
]


@pytest.mark.parametrize(("question", "message"), QUESTIONS)
def test_questions_that_cannot_be_answered(model, question, message):
    with pytest.raises(UsageError, match=message):
        answer(model, **question)


def test_a_dataset_goes_with_a_known_query(model, song_dataset):
    for question in ({"history": ["s1"]}, {"text": "x"}):
        with pytest.raises(UsageError, match="a dataset gives the features of a known query"):
            answer(model, dataset=song_dataset, **question)


def test_pictures_that_cannot_be_read(tmp_path):
    (tmp_path / "words.png").write_text("no picture")
    with pytest.raises(DataError, match=r"words.png: not a picture"):
        media("image", tmp_path / "words.png")
    with pytest.raises(DataError, match="nowhere.png: the picture cannot be read: No such file"):
        media("image", tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="the picture: not a picture"):
        media("image", b"nothing")
    whole = io.BytesIO()
    Image.new("RGB", (40, 40)).save(whole, "PNG")
    with pytest.raises(DataError, match="damaged picture"):
        media("image", whole.getvalue()[:-30])


def test_values_that_are_no_strings_stay_as_they_are(model):
    features = model.schema.candidates.features
    assert feature_value("length", 3, features) == 3
    assert feature_value("sound", [1.0], features) == [1.0]
    assert feature_value("length", " 3.5 ", features) == 3.5


def test_two_stages_answer_as_one_model(loaded_cascade):
    model = loaded_cascade
    found = answer(model, query_id="q1", k=3)
    assert (found.source, found.notes, len(found.candidates)) == ("query", [NOT_GIVEN], 3)
    asked = model.ask("recommend", query_id="q1", k=3)
    assert [entry.candidate_id for entry in found.candidates] == asked["candidate_ids"].tolist()
    assert answer(model, text="slow fast").source == "content"


def test_a_ranking_model_alone_finds_nothing(exported_ranker):
    model = load_exported(exported_ranker)
    with pytest.raises(UsageError, match=r"ranker is a ranking model, .* finds nothing by itself; .* --retriever RUN"):
        answer(model, query_id="q1")
