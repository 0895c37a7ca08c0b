"""`tfmmrec query`."""

from __future__ import annotations

import functools
import json

import pytest
from PIL import Image

from tests.serving.catalogue import fashion, untrained_run
from tfmmrec.cli.main import main
from tfmmrec.serving import exported_model
from tfmmrec.serving.development_server import DevelopmentServer, ServerOptions
from tfmmrec.serving.export import export_run


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A dataset, and the folder of an exported model's versions."""
    folder = tmp_path_factory.mktemp("shop")
    dataset = fashion(folder / "data")
    export_run(untrained_run(dataset, folder / "run"), folder / "models" / "3", dataset)
    with pytest.MonkeyPatch.context() as patch:  # every question would load it again
        load = functools.cache(exported_model.load_exported)
        patch.setattr(exported_model, "load_exported", lambda path: load(str(path)))
        yield dataset, str(folder / "models")


@pytest.fixture(scope="module")
def served(shop):
    """The same model on a server: its REST address."""
    server = DevelopmentServer(shop[1], "shop", ServerOptions(port=0, grpc_port=0))
    server.start()
    yield server.rest_url
    server.stop()


def _ask(capsys, *arguments):
    code = main(["query", *map(str, arguments), "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def test_a_known_query(shop, capsys):
    dataset, model = shop
    own = dataset.queries.ids[4].as_py()
    answer = _ask(capsys, model, "--query-id", own, "--k", "4")
    assert answer["source"] == "query" and answer["model"].endswith("/3")
    assert [entry["rank"] for entry in answer["candidates"]] == [1, 2, 3, 4]
    assert set(answer["candidates"][0]["display"]) == {"title", "picture"}
    titles = dict(zip(dataset.candidates.ids.to_pylist(), dataset.candidates.display["title"].to_pylist(), strict=True))
    for entry in answer["candidates"]:
        assert entry["display"]["title"] == titles[entry["candidate_id"]]
    seen = dataset.candidates.ids.take(dataset.train.candidates_of(4)).to_pylist()
    not_given = "the query's features (age_group, region) were not given: add --dataset or --feature NAME=VALUE"
    assert answer["notes"] == [not_given]
    for looked_up, notes in (([], [not_given]), (["--dataset", dataset.root], [])):
        whole = _ask(capsys, model, "--query-id", own, *looked_up, "--k", "120")
        assert not {entry["candidate_id"] for entry in whole["candidates"]} & set(seen)
        assert len(whole["candidates"]) == 120 - len(set(seen)) and whole["notes"] == notes


def test_a_history_without_what_is_excluded(shop, capsys):
    ids = shop[0].candidates.ids.to_pylist()
    answer = _ask(capsys, shop[1], "--history", f"{ids[0]}, {ids[1]}", "--exclude", f"{ids[2]},{ids[3]}", "--k", 120)
    assert answer["source"] == "history" and len(answer["candidates"]) == 116
    assert not set(ids[:4]) & {entry["candidate_id"] for entry in answer["candidates"]}


def test_filters(shop, served, capsys):
    dataset, model = shop
    ids = dataset.candidates.ids.to_pylist()
    types = dict(zip(ids, dataset.candidates.features["type"].to_pylist(), strict=True))
    first, second, third = sorted({value for value in types.values() if value})[:3]
    allowed = ["--query-id", "nobody", "--allow", f"type={first}", "--allow", f"type={second}", "--k", 120]
    wanted = {id for id, value in types.items() if value in (first, second)}
    for where in ([model], ["--server", served], [model, "--server", served]):
        found = {entry["candidate_id"] for entry in _ask(capsys, *where, *allowed)["candidates"]}
        assert found == wanted
    denied = _ask(capsys, model, *allowed, "--deny", f"type={second}")["candidates"]
    assert {types[entry["candidate_id"]] for entry in denied} == {first}
    capped = _ask(capsys, model, "--query-id", "nobody", "--cap", 1, "--allow", f"type={third}")["candidates"]
    assert len(capped) == 1
    liked = [model, "--history", ids[0], "--k", 120]
    scores = [entry["score"] for entry in _ask(capsys, *liked)["candidates"]]
    least = [entry["score"] for entry in _ask(capsys, *liked, "--min-score", scores[5] - 1e-6)["candidates"]]
    assert least[:6] == pytest.approx(scores[:6], abs=1e-5) and len(least) < len(scores)
    notes = _ask(capsys, model, *allowed, "--deny", "type=cloud")["notes"]
    assert "to be allowed or denied, but no candidate has it: type=cloud" in notes


def test_a_picture_and_words_that_nobody_has_seen(shop, tmp_path, capsys):
    Image.new("RGB", (50, 70), "crimson").save(tmp_path / "new.jpg")
    arguments = [shop[1], "--image", tmp_path / "new.jpg", "--text", "a red dress", "--feature", "type=dress"]
    answer = _ask(capsys, *arguments)
    assert answer["source"] == "content" and len(answer["candidates"]) == 10
    cheap, dear = (_ask(capsys, *arguments, "--feature", f"price={price}") for price in (5, 500))
    assert cheap["candidates"] != dear["candidates"]


def test_people_see_titles(shop, capsys):
    assert main(["query", shop[1], "--query-id", "nobody", "--k", "3"]) == 0
    shown = capsys.readouterr().out
    assert "the query 'nobody' is unknown to the model" in shown and "most popular" in shown
    assert "by popular" in shown and "title" in shown and "score" in shown


def test_where_nothing_is_left_people_are_told_why(shop, capsys):
    dataset, model = shop
    kind = next(value for value in dataset.candidates.features["type"].to_pylist() if value)
    assert main(["query", model, "--query-id", "nobody", "--allow", f"type={kind}", "--deny", f"type={kind}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"no candidate is left: none that was found passes allow type={kind} and deny type={kind}; change one of "
        "these, or leave it out",
        "the query 'nobody' is unknown to the model",
        "the query's features (age_group, region) were not given: add --dataset or --feature NAME=VALUE",
    ]


def test_json_leaves_the_table_out_of_both_streams(shop, capsys):
    assert main(["query", shop[1], "--query-id", "nobody", "--k", "3", "--json"]) == 0
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)["candidates"]) == 3
    for word in ("by popular", "score", "unknown to the model"):
        assert word not in shown.err


WRONG = [
    ([], "nothing is asked; give --query-id, --history, --image, --audio, --video, --text or --feature"),
    (["--query-id", "a", "--history", "b"], "a known query or a history, not both"),
    (["--query-id", "a", "--text", "b"], "give one of the two"),
    (["--text", "a", "--feature", "price"], "--feature takes NAME=VALUE, got 'price'"),
    (["--text", "a", "--feature", "price=1", "--feature", "price=2"], "--feature gives price twice"),
    (["--text", "a", "--feature", "price=dear"], "feature price: expected a number, got 'dear'"),
    (["--text", "a", "--feature", "colour=red"], "no feature is called 'colour'; there are title, description"),
    (["--image", "nowhere.png"], "nowhere.png: the picture cannot be read"),
    (["--query-id", "a", "--k", "0"], "k must lie in 1 to 1000, got 0"),
    (["--query-id", "a", "--allow", "dress"], "allow takes feature=value, such as type=VALUE; got 'dress'"),
    (["--query-id", "a", "--deny", "tpye=dress"], "by 'tpye', only by type, brand; did you mean 'type'?"),
    (["--query-id", "a", "--cap", "0"], "cap must be at least 1, got 0"),
    (["--history", "a", "--dataset", "nowhere"], "expected a dataset's folder"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_questions_that_cannot_be_answered(shop, capsys, arguments, message):
    assert main(["query", shop[1], *arguments]) == 2
    shown = capsys.readouterr()
    assert message in " ".join(shown.err.split()) and shown.out == "" and "Traceback" not in shown.err


def test_what_is_no_model(tmp_path, capsys):
    assert main(["query", str(tmp_path / "nowhere"), "--query-id", "a"]) == 2
    assert "no such folder; `tfmmrec export RUN` writes a model" in capsys.readouterr().err
    assert main(["query", str(tmp_path), "--query-id", "a"]) == 2
    assert "expected saved_model.pb, or versions" in " ".join(capsys.readouterr().err.split())


def test_a_dataset_is_no_model(shop, capsys):
    folder = shop[0].root
    assert main(["query", str(folder), "--query-id", "a"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert f"{folder}: is a dataset; train a run on it and export that" in shown
    assert f"`tfmmrec train {folder} --run RUN`, `tfmmrec export RUN`, then ask RUN/export" in shown


def test_a_picture_that_is_none(shop, tmp_path, capsys):
    (tmp_path / "words.png").write_text("no picture")
    assert main(["query", shop[1], "--image", str(tmp_path / "words.png")]) == 2
    assert "words.png: not a picture" in " ".join(capsys.readouterr().err.split())


def test_a_server_gives_the_same_answer(shop, served, tmp_path, capsys):
    Image.new("RGB", (50, 70), "crimson").save(tmp_path / "new.png")
    asked = ["--image", tmp_path / "new.png", "--text", "a red dress", "--k", 5]
    here, there = _ask(capsys, shop[1], *asked), _ask(capsys, shop[1], *asked, "--server", served)
    assert there["model"] == served and there["source"] == here["source"] == "content"
    for one, other in zip(here["candidates"], there["candidates"], strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)
        assert (one["candidate_id"], one["display"]) == (other["candidate_id"], other["display"])
    assert main(["query", "--server", served, "--query-id", "nobody", "--k", "3"]) == 0
    shown = capsys.readouterr().out
    assert "by popular" in shown and "title" not in shown, "titles stand in the model's folder"


def test_what_a_server_cannot_be_asked(shop, served, capsys):
    for arguments, code, words in (
        (["--server", served, "--text", "red"], 2, "a server does not tell which inputs are texts or pictures"),
        (["--server", "http://host/shop", "--query-id", "a"], 2, "is no address of a model; expected http://HOST:8501"),
        (["--server", f"{served}x", "--query-id", "a"], 2, "NOT_FOUND: Servable not found for request: Latest(shopx)"),
        (["--server", "http://127.0.0.1:1/v1/models/shop", "--query-id", "a"], 1, "REST is usually at port 8501"),
        (["--query-id", "a"], 2, "no model is named; give the folder of an exported model, or --server URL"),
        ([shop[1], "--query-id", "a", "--certificates", "x"], 2, "--certificates are of a server"),
    ):
        assert main(["query", *arguments]) == code
        assert words in " ".join(capsys.readouterr().err.split())
