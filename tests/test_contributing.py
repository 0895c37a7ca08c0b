"""The model that CONTRIBUTING.md adds as an example is one."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfmmrec.models
import tfmmrec.zoo
from tests.conformance.models import ModelCase, ready
from tfmmrec.types import UsageError

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
CASE = ModelCase("biased_factors", "biased_factors", {"dim": 3})


def load(name, path, monkeypatch):
    """A file as the module of this name."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example's test as a module; its model is in the zoo while a test runs."""
    text = CONTRIBUTING.read_text(encoding="utf-8").split("## Adding a model")[1].split("\n## ")[0]
    source, test, export, row = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "biased_factors.py").write_text(source, encoding="utf-8")
    (tmp_path / "test_biased_factors.py").write_text(test, encoding="utf-8")
    module = load("tfmmrec.models.biased_factors", tmp_path / "biased_factors.py", monkeypatch)
    monkeypatch.setattr(tfmmrec.models, "biased_factors", module, raising=False)
    names = dict(vars(tfmmrec.zoo))
    exec(export, names)  # noqa: S102
    ((name, entry),) = eval(f"{{{row}}}", names).items()  # noqa: S307
    monkeypatch.setitem(tfmmrec.zoo.ZOO, name, entry)
    return load("example_test", tmp_path / "test_biased_factors.py", monkeypatch)


def test_its_own_tests_pass(example):
    tests = [function for name, function in vars(example).items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_its_settings_are_checked(example):
    tfmmrec.zoo.check_hyperparameters("biased_factors", {"dim": 3, "num_negatives": 8})
    with pytest.raises(UsageError, match="biased_factors has no setting 'dimm'; did you mean dim"):
        tfmmrec.zoo.check_hyperparameters("biased_factors", {"dimm": 3})


def test_steps_move_every_weight_and_it_comes_back_from_a_checkpoint(example, tmp_path):
    made = ready(CASE)
    before = [variable.numpy() for variable in made.model.trainable_variables]
    assert len(before) == 2 and np.isfinite(made.fit(2)).all()
    for variable, old in zip(made.model.trainable_variables, before, strict=True):
        assert not np.array_equal(variable, old), variable.name
    tf.train.Checkpoint(model=made.model).write(str(tmp_path / "weights"))
    again = ready(CASE, seed=1)
    tf.train.Checkpoint(model=again.model).read(str(tmp_path / "weights")).expect_partial()
    for one, other in zip(again.vectors(), made.vectors(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_its_towers_come_back_from_their_config(example):
    made = ready(CASE)
    model = made.model
    again = [type(tower).from_config(tower.get_config()) for tower in (model.query_tower, model.candidate_tower)]
    assert [tower.get_config() for tower in again] == [
        model.query_tower.get_config(),
        model.candidate_tower.get_config(),
    ]
