"""The README's examples in Python do what it says, and its table of models is the zoo's."""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfmmrec.cli.main import main

README = Path(__file__).parents[1] / "README.md"


def test_a_pipeline_of_one_s_own():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "model.fit" in block]
    candidate_ids, words = [f"c{i}" for i in range(12)], ["red", "blue", "dress", "lamp"]
    titles = [f"{words[i % 2]} {words[2 + i % 3 % 2]}" for i in range(12)]
    random = np.random.default_rng(0)
    chosen = random.integers(0, 12, 200)
    names = {
        "query_ids": [f"q{i}" for i in range(9)],
        "candidate_ids": candidate_ids,
        "words": words,
        "rows": tf.data.Dataset.from_tensor_slices(
            {
                "query_id": [f"q{i}" for i in random.integers(0, 9, 200)],
                "candidate_id": [candidate_ids[i] for i in chosen],
                "title": [titles[i] for i in chosen],
            }
        ),
    }
    exec(block, names)  # noqa: S102
    model = names["model"]
    assert len(model.history.history["loss"]) == 5
    assert model.history.history["loss"][-1] < model.history.history["loss"][0]
    assert model.candidate_tower.encoders["title"].trainable_weights


def test_the_table_of_models_is_the_zoo_s(capsys):
    (table,) = re.findall(r"<!-- zoo:begin -->\n(.*?)<!-- zoo:end -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert main(["zoo", "models", "--markdown"]) == 0
    found = capsys.readouterr().out
    assert table == found, "README.md has another table of models than the zoo: run `make docs` and commit README.md"
