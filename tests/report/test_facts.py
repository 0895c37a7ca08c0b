"""The head of the report."""

from __future__ import annotations

from pathlib import Path

from tfmmrec.report.facts import dataset_name, run_facts
from tfmmrec.runs import RunConfig


def test_sizes_of_the_dataset(shop):
    facts = run_facts(shop)
    assert facts["Candidates"] == "24, 6 of them cold" and facts["Queries"] == "30"
    assert facts["Interactions"] == f"{shop.train.num_rows} train · {shop.test.num_rows} test"
    assert facts["Content"] == "title (text), photo (image)"
    assert "Model" not in facts


def test_how_the_run_was_made(shop):
    config = RunConfig(
        run_id="0123456789abcdef",
        version="9.8",
        model="two_tower",
        hyperparameters={"dim": 32, "alignment": ["subspace", "conversion"]},
        options={"batch_size": 512, "learning_rate": 0.003, "weight_decay": 0.0, "seed": 0},
        data_schema=shop.schema,
        num_epochs=7,
    )
    facts = run_facts(shop, config)
    assert facts["Hyperparameters"] == "dim = 32, alignment = [subspace, conversion]"
    assert facts["Training"] == "7 epochs · batch 512 · learning rate 0.003 · seed 0"
    assert facts["Run"] == "0123456789ab · tfmmrec 9.8"


def test_only_the_folder_s_name_is_told(shop, monkeypatch):
    assert dataset_name(shop) == "data in memory"
    monkeypatch.setattr(shop, "root", Path("somewhere", "else", "my_shop"))
    assert dataset_name(shop) == "my_shop"
