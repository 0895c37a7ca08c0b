"""`tfmmrec zoo`."""

from __future__ import annotations

import json

import tfmmrec.alignment
from tfmmrec.cli.main import main
from tfmmrec.cli.zoo import _describe, _markdown
from tfmmrec.zoo import ZOO


def test_models_as_json(capsys):
    assert main(["zoo", "models", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ["models"]
    assert [entry["name"] for entry in answer["models"]] == list(ZOO)
    assert answer["models"][0]["when"] == ZOO["two_tower"].when


def test_everything_is_shown_to_people(capsys):
    assert main(["zoo"]) == 0
    shown = capsys.readouterr().out
    for word in ("two_tower", "EarlyFusion", "TextEncoder", "sampled_softmax", "SubspaceAlignment"):
        assert word in shown


def test_the_settings_of_a_model(capsys):
    assert main(["zoo", "lightgcn", "--json"]) == 0
    (settings,) = json.loads(capsys.readouterr().out).values()
    assert settings[0] == {"setting": "dim", "default": "64", "what": "size of the embeddings."}
    assert "learning_rate" in {setting["setting"] for setting in settings}


def test_what_it_does_not_have(capsys):
    assert main(["zoo", "lightgnc"]) == 2
    shown = capsys.readouterr().err
    assert "or the settings of a model, but no 'lightgnc'; did you mean lightgcn?" in shown and "Traceback" not in shown
    assert main(["zoo", "planets"]) == 2
    have = "models, fusions, encoders, losses, alignments, pretraining"
    expected = f"zoo has {have}, or the settings of a model, but no 'planets'\n"
    assert capsys.readouterr().err.endswith(expected)


def test_tables_in_markdown(capsys):
    assert main(["zoo", "models", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["| name | kind | paper | needs | when |", "| --- | --- | --- | --- | --- |"]
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in ZOO]
    assert main(["zoo", "--markdown"]) == 0
    shown = capsys.readouterr().out
    assert all(heading in shown for heading in ("### models\n\n| name |", "\n\n### alignments\n\n| name |"))


def test_a_bar_in_markdown_does_not_end_a_cell():
    assert _markdown(["a", "b"], [["x|y", "z"]]) == "| a | b |\n| --- | --- |\n| x\\|y | z |"


def test_alignments_as_json(capsys):
    assert main(["zoo", "alignments", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in answer["alignments"]] == tfmmrec.alignment.__all__
    assert all(entry["what"] for entry in answer["alignments"])


def test_a_part_tells_its_needs_and_papers():
    class Blend:
        """Weighs one modality
        against another (Ngiam et al. 2011).

        After Arevalo et al. (2017) and Wu & He 2018; see Ngiam et al. 2011.
        """

        def __init__(self, dim, *, dropout=0.1, **other): ...

    assert _describe("Blend", Blend) == {
        "name": "Blend",
        "what": "Weighs one modality against another (Ngiam et al. 2011).",
        "needs": ["dim"],
        "paper": ["Ngiam et al. 2011", "Arevalo et al. 2017", "Wu & He 2018"],
    }
