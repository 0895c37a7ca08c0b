"""`tfmmrec embed`."""

from __future__ import annotations

import json

import pytest

from tests.encoders.reusable import write_text_model
from tfmmrec.cli.main import main
from tfmmrec.data.fashion import write_fashion


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_fashion(folder / "fashion", num_candidates=120, num_queries=60, num_interactions=600)
    write_text_model(folder / "encoder")
    return folder


def test_it_says_what_was_encoded_and_does_nothing_twice(folder, tmp_path, capsys):
    command = ["embed", str(folder / "fashion"), "--encoder", str(folder / "encoder"), "--feature", "description"]
    command += ["--store", str(tmp_path)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "description: 120 candidates with 115 different contents, 115 of them encoded now; 6 candidates" in shown
    assert f"Vectors of 4 numbers in {tmp_path}" in shown
    assert main([*command, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["num_new"] == 0 and answer["num_contents"] == 115 and answer["store"].endswith("-float32")
    assert main([*command, "--half", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_new"] == 115


def test_a_feature_is_named_where_there_are_several(folder, tmp_path, capsys):
    command = ["embed", str(folder / "fashion"), "--encoder", str(folder / "encoder"), "--store", str(tmp_path)]
    assert main(command) == 2
    assert "the candidates have title, description, picture; name one" in " ".join(capsys.readouterr().err.split())
