import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.serving.client import Client, connect
from tfmmrec.serving.request_filters import FILTERS
from tfmmrec.serving.server_error import ServerError, WrongAddress
from tfmmrec.serving.signature_info import SignatureInfo, TensorInfo
from tfmmrec.types import UsageError


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request, song_server):
    url = song_server.rest_url if request.param == "rest" else song_server.grpc_url
    with connect(url, batch_size=2, deadline_seconds=120) as made:  # a slow machine has time
        yield made


ROWS = [
    {"query_id": "q1", "history": ["s1", "s2"], "k": 3},
    {"query_id": "", "query_age": 30.0, "query_tastes": ["rock", "folk"], "exclude": ["s3"]},
    {"query_id": "q2", "query_face": [1.0, 2.0, 3.0], "min_score": -5.0, "cap": 2},
]


def test_a_served_model_answers_as_it_does_here(client, served):
    found = client.ask("recommend", ROWS)
    assert len(found) == 3
    expected = served.recommend(tf.constant(["q1"]), history=tf.constant([["s1", "s2", "", "", ""]]), k=[3])
    ids = found[0]["candidate_ids"].tolist()
    assert ids == [id.decode() for id in expected["candidate_ids"][0].numpy()] and len(ids) == 3
    np.testing.assert_allclose(found[0]["scores"], expected["scores"][0], atol=1e-5)
    assert [row["source"] for row in found] == ["history", "features", "query"]
    assert len(found[1]["candidate_ids"]) == 10 and "s3" not in found[1]["candidate_ids"]


def test_one_row_after_the_other_is_the_same(client):
    for row, found in zip(ROWS, client.ask("recommend", ROWS), strict=True):
        (alone,) = client.ask("recommend", [row])
        np.testing.assert_array_equal(found["candidate_ids"], alone["candidate_ids"])
        np.testing.assert_allclose(found["scores"], alone["scores"], atol=1e-5)


def test_each_row_has_as_many_as_it_asks_for_and_no_fillers(client, song_dataset):
    rows = [{"query_id": "q1", "k": k, **more} for k, more in ((2, {}), (25, {"allow": ["artist=artist 1"]}))]
    few, filtered = client.ask("recommend", rows)
    assert len(few["candidate_ids"]) == len(few["scores"]) == 2
    seen = song_dataset.candidates.ids.take(song_dataset.train.candidates_of(1)).to_pylist()
    artists = zip(song_dataset.candidates.ids.to_pylist(), range(30), strict=True)
    own = {id for id, row in artists if row % 5 == 1} - set(seen)
    assert set(filtered["candidate_ids"]) == own and np.isfinite(filtered["scores"]).all()
    (alone,) = client.ask("recommend", [{"history": ["s1", "s2"], "k": 3}])
    assert alone["source"] == "history" and len(alone["candidate_ids"]) == 3, "the id of nobody is sent along"


def test_content_is_searched_by_one_feature_alone(client, served):
    (found,) = client.ask("search", [{"candidate_genre": "folk", "k": 4}])
    expected = served.search(candidate_title=tf.constant([""]), candidate_genre=tf.constant(["folk"]), k=[4])
    assert found["candidate_ids"].tolist() == [id.decode() for id in expected["candidate_ids"][0].numpy()]
    with pytest.raises(UsageError, match="search needs one of candidate_artist, .*, which row 0 lacks"):
        client.ask("search", [{"k": 4}])


def test_every_signature_is_answered(client):
    values = {"query_id": "q1", "candidate_id": "s1", "candidate_title": "slow", "examples": b""}
    for name, signature in client.signatures.items():
        required = [key for key, info in signature.inputs.items() if info.default is None]
        (found,) = client.ask(name, [{key: values[key] for key in required}])
        assert set(found) == set(signature.outputs)


def test_the_graph_s_own_words_about_shapes(client, song_server):
    """The client checks them; what another one sends is refused by the server with these words."""
    info = client.signatures["similar"].inputs
    inputs = {key: entry.default for key, entry in info.items() if entry.default is not None}
    inputs["candidate_id"] = np.array([b"s1", b"s2"], object)
    with pytest.raises(
        ServerError, match="the rows of candidate_id, exclude, allow, deny, k, min_score, cap are. .2 1 1 1 3 1 1."
    ) as caught:
        client.predict("similar", inputs | {"k": np.array([1, 2, 3], np.int32)})
    assert caught.value.code == "INVALID_ARGUMENT"
    with pytest.raises(ServerError, match=r"shape \(2, 1\).*similar_exclude"):
        client.predict("similar", inputs | {"exclude": np.array([[b"s1"], [b"s2"]], object)})


def test_what_the_server_refuses_has_its_words(song_server):
    for url in (song_server.rest_url, song_server.grpc_url):
        words = r"NOT_FOUND: .*Latest\(songsx\); the model here is songs; .*: `tfmmrec serve BASE/NAME` serves NAME"
        with connect(f"{url}x") as client, pytest.raises(WrongAddress, match=words):
            client.ask("recommend", ROWS)
        with connect(f"{url}/versions/4") as client, pytest.raises(ServerError, match=r"Specific\(songs, 4\)"):
            client.ask("recommend", ROWS)
        with connect(f"{url}/versions/3") as client:
            assert client.ask("recommend", ROWS[:1])[0]["source"] == "history"
        with connect(f"{url}/labels/stable") as client:
            with pytest.raises(ServerError, match="INVALID_ARGUMENT: Unrecognized servable version label: stable"):
                client.ask("recommend", ROWS)


def test_all_warmup_requests_were_answered(song_server, served):
    count = 4 * len(served.signatures_to_save)
    assert song_server.told[1] == f"Version 3 of songs is served; {count} warmup requests answered"


def test_questions_that_do_not_fit(client):
    with pytest.raises(UsageError, match="has no signature 'guess', only embed_candidate, embed_query, recommend"):
        client.ask("guess", ROWS)
    with pytest.raises(UsageError, match="recommend takes allow, cap, .*; not age"):
        client.ask("recommend", [{"query_id": "q", "age": 3}])
    with pytest.raises(UsageError, match="recommend takes a list of rows, .* put it in brackets"):
        client.ask("recommend", {"query_id": "q1"})
    with pytest.raises(UsageError, match="deny: candidates cannot be filtered by 'gerne', only by .*'genre'"):
        client.ask("recommend", [{"query_id": "q1", "deny": ["gerne=folk"]}])
    with pytest.raises(UsageError, match="only by the categories and identifiers among artist, genre, mood, title"):
        client.ask("similar", [{"candidate_id": "s1", "allow": ["length=3"]}])
    assert client.ask("recommend", []) == []


ADDRESSES = [
    "http://host/",
    "http://host:8501/m",
    "http://host:8501/v1/models/",
    "http://host:8501/v1/models/a:predict",
    "http://host:8501/v1/models/a?b=c",
    "ftp://host/v1/models/a",
    "grpc://host:8500",
    "host:8500/a",
    "grpc:///a",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_addresses_that_are_none(url):
    with pytest.raises(
        UsageError, match="is no address of a model; expected http://HOST:8501/v1/models/NAME or grpc://"
    ):
        connect(url)


def test_what_else_cannot_be(tmp_path):
    with pytest.raises(UsageError, match="is not encrypted, so no certificates are looked at; write grpcs://"):
        connect("grpc://host:8500/a", root_certificates=tmp_path / "roots.pem")
    with pytest.raises(UsageError, match="roots.pem: no such file"):
        connect("https://host/v1/models/a", root_certificates=tmp_path / "roots.pem")
    with pytest.raises(UsageError, match="the deadline must be above 0 seconds, got 0"):
        connect("http://host/v1/models/a", deadline_seconds=0)
    with pytest.raises(UsageError, match="batch_size must be at least 1, got 0"):
        connect("http://host/v1/models/a", batch_size=0)


def test_the_version_stands_in_the_address():
    client = connect("grpc://host:8500/v1/models/a/versions/3")
    assert isinstance(client, Client) and client.address == "grpc://host:8500/a"
    client.close()


class Changing:
    """A transport whose model is replaced by one with another input, once it has been described."""

    address = "nowhere"

    def __init__(self):
        self.asked, self.versions = [], ["old", "new"]

    def metadata(self, seconds):
        name = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        text = TensorInfo(np.dtype(object), (), np.array([b""], object))
        return {"recommend": SignatureInfo({"query_id": text, f"query_{name}": text}, {"scores": text})}

    def predict(self, signature, inputs, described, seconds):
        self.asked.append(sorted(inputs))
        if "query_new" not in inputs:
            raise ServerError("INVALID_ARGUMENT", "Missing named input: query_new", self.address)
        return {"scores": np.array([b"1"] * len(inputs["query_id"]), object)}


def test_another_version_s_inputs_are_learned():
    transport = Changing()
    assert Client(transport).ask("recommend", [{"query_id": "1"}]) == [{"scores": "1"}]
    assert transport.asked == [["query_id", "query_old"], ["query_id", "query_new"]]
    transport = Changing()
    transport.versions = ["old"]
    with pytest.raises(ServerError, match="Missing named input"):
        Client(transport).ask("recommend", [{"query_id": "1"}])
    assert len(transport.asked) == 1, "the same is not asked twice"


class Finding:
    """A transport of a model that finds candidates; remembers what it was asked."""

    address = "nowhere"

    def __init__(self):
        self.asked = []

    def metadata(self, seconds):
        text = TensorInfo(np.dtype(object), (), np.array([b""], object))
        lists = TensorInfo(np.dtype(object), (2,), np.array([[b"", b""]], object))
        number = TensorInfo(np.dtype(np.float32), (), np.zeros(1, np.float32))
        whole = TensorInfo(np.dtype(np.int32), (), np.array([10], np.int32))
        filters = dict(zip(FILTERS, (lists, lists, lists, whole, number, whole), strict=True))
        content = {"candidate_id": text, "candidate_genre": text, "candidate_length": number}
        recommend = SignatureInfo({"query_id": text} | filters, {"scores": number})
        return {"recommend": recommend, "embed_candidate": SignatureInfo(content, {"vectors": number})}

    def predict(self, signature, inputs, described, seconds):
        self.asked.append(inputs)
        return {"scores": np.zeros(len(inputs["query_id"]), np.float32)}


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": 1001}, {"allow": ["folk"]}, {"deny": "length=3"}, {"deny": "id=s1"}])
def test_nothing_is_sent_where_a_row_is_wrong(wrong):
    transport = Finding()
    client = Client(transport, batch_size=1)
    with pytest.raises(UsageError):
        client.ask("recommend", [{"query_id": "q1"}, {"query_id": "q2"} | wrong])
    assert transport.asked == []
    client.ask("recommend", [{"query_id": "q1", "k": 1000, "allow": ["genre=polka"]}])
    assert transport.asked[0]["k"].tolist() == [1000]
    assert transport.asked[0]["allow"].tolist() == [[b"genre=polka", b""]]
