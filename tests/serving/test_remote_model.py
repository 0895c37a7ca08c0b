import pytest

from tfmmrec.serving.answers import answer
from tfmmrec.serving.client import connect
from tfmmrec.serving.described_model import read_description
from tfmmrec.serving.remote_model import RemoteModel
from tfmmrec.types import UsageError

QUESTIONS = [
    {"query_id": "q1", "features": {"age": "30"}},
    {"history": ["s1", "s2", "nothing"], "exclude": ["s5", "s6"]},
    {"features": {"about": "warm"}},
    {"text": "slow", "features": {"genre": "folk", "length": "200"}},
    {"history": ["s1"], "allow": ["artist=artist 1", "artist=artist 2"], "deny": ["genre=polka"], "cap": 2},
]


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request, song_server):
    with connect(song_server.rest_url if request.param == "rest" else song_server.grpc_url) as made:
        yield made


@pytest.fixture
def here(loaded):
    return loaded


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_with_the_folder_the_answer_is_that_of_the_model_here(client, here, exported, question):
    found = answer(RemoteModel(client, read_description(exported)), k=4, **question)
    expected = answer(here, k=4, **question)
    assert (found.source, found.notes) == (expected.source, expected.notes)
    assert [(entry.candidate_id, entry.display) for entry in found.candidates] == [
        (entry.candidate_id, entry.display) for entry in expected.candidates
    ]
    assert [entry.score for entry in found.candidates] == pytest.approx(
        [entry.score for entry in expected.candidates], abs=1e-5
    )


def test_without_a_folder_there_are_no_titles(client, here):
    model = RemoteModel(client)
    found = answer(model, history=["s1"], k=3)
    assert [entry.candidate_id for entry in found.candidates] == [
        entry.candidate_id for entry in answer(here, history=["s1"], k=3).candidates
    ]
    assert all(entry.display == {} for entry in found.candidates) and found.notes == []
    found = answer(model, features={"title": "slow", "length": "200", "sound": "1,2,3,4", "mood": "sad,calm"}, k=3)
    assert found.source == "content" and len(found.candidates) == 3


def test_a_dataset_tells_the_query_s_features(client, exported, here, song_dataset):
    found = answer(RemoteModel(client, read_description(exported)), query_id="q1", dataset=song_dataset, k=4)
    expected = answer(here, query_id="q1", dataset=song_dataset, k=4)
    assert [entry.candidate_id for entry in found.candidates] == [entry.candidate_id for entry in expected.candidates]
    assert found.notes == expected.notes


def test_what_only_the_weights_tell_is_taken_for_known(client, exported):
    model = RemoteModel(client, read_description(exported))
    assert model.knows_query("nobody") and model.knows_value("candidate", "genre", "polka")
    assert model.looks_at("query", "age") and not model.looks_at("query", "genre")
    assert not RemoteModel(client).looks_at("query", "age")


def test_a_feature_that_no_input_has(client):
    with pytest.raises(UsageError, match="neither queries nor candidates have all of colour"):
        answer(RemoteModel(client), features={"colour": "red"})


def test_what_candidates_can_be_filtered_by_stands_in_the_folder(client, exported):
    model = RemoteModel(client, read_description(exported))
    assert model.absent_values(["genre=folk", "genre=polka"]) == ["genre=polka"]
    with pytest.raises(UsageError, match="by 'title', only by genre, mood, artist$"):
        answer(model, history=["s1"], allow=["title=slow"])
    alone = RemoteModel(client)
    assert alone.absent_values(["genre=polka"]) == []
    with pytest.raises(UsageError, match="by 'length', only by .* among artist, genre, mood, title$"):
        answer(alone, history=["s1"], allow=["length=3"])
    assert answer(alone, history=["s1"], allow=["title=slow"]).notes == [
        "no candidate is left: none that was found passes allow title=slow; change it, or leave it out"
    ]
