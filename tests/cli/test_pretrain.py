"""`tfmmrec pretrain`."""

from __future__ import annotations

import json

import pytest

from tfmmrec.cli.main import main
from tfmmrec.cli.pretrain import encoders_of
from tfmmrec.data.fashion import write_fashion
from tfmmrec.pretrained import read_card
from tfmmrec.types import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "fashion"
    write_fashion(folder, num_candidates=120, num_queries=60, num_interactions=600)
    return folder


def test_it_says_what_was_learned_and_what_comes_next(folder, tmp_path, capsys):
    to = tmp_path / "encoder"
    command = ["pretrain", str(folder), "--encoder", "description=small", "--to", str(to)]
    assert main([*command, "--epochs", "2", "--set", "batch_size=16"]) == 0
    shown, told = capsys.readouterr()
    assert "masked_token: learned from 103 contents, 11 held out; of 120 candidates 6 have none" in shown
    assert f"Next: tfmmrec train {folder} --run RUN --set 'pretrained={{description: {to}}}'" in shown
    assert "guessing" in shown and "before" in shown
    assert "epoch 1: loss" in told and "epoch 2: loss" in told
    options = read_card(to)["pretraining"][0]["options"]
    assert (options["epochs"], options["batch_size"]) == (2, 16)
    assert main([*command, "--epochs", "1", "--set", "epochs=2"]) == 2
    assert "epochs is given by --set and by its own flag; leave one out" in capsys.readouterr().err
    assert main(command) == 2
    assert "holds an exported encoder already; --overwrite replaces it" in " ".join(capsys.readouterr().err.split())
    again = ["pretrain", str(folder), "--encoder", f"title={to}", "--to", str(to), "--overwrite", "--epochs", "1"]
    assert main([*again, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["encoders"] == {"title": str(to)} and answer["objective"] == "masked_token"
    assert [epoch["number"] for epoch in answer["epochs"]] == [0, 1] and answer["best"] == 1


def test_a_wrong_option_is_named(folder, tmp_path, capsys):
    command = ["pretrain", str(folder), "--encoder", "small", "--to", str(tmp_path / "to")]
    assert main([*command, "--set", "mask_share=2"]) == 2
    assert "not valid (pretraining options):\n  mask_share: Input should be less than 1" in capsys.readouterr().err
    assert main(command) == 2
    assert "of which the candidates have title, description, picture; name one" in capsys.readouterr().err
    assert main(["zoo", "pretraining"]) == 0
    assert "mask_share" in capsys.readouterr().out


def test_encoders_are_named_by_their_features():
    assert encoders_of(["title=a/b", "photo=small"]) == {"title": "a/b", "photo": "small"}
    assert encoders_of(["a/b"]) == {"": "a/b"}
    for wrong in ("=a", "title="):
        with pytest.raises(UsageError, match="expected FEATURE=DIR, FEATURE=small or DIR"):
            encoders_of([wrong])
    with pytest.raises(UsageError, match="two encoders are given for title; name a feature for each"):
        encoders_of(["title=a", "title=b"])
