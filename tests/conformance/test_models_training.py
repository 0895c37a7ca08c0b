"""A step moves every weight that is to be trained and no other; a fixed seed repeats; what was learned is kept."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import tfmmrec
from tests.conformance.models import (
    CASES,
    QUICK_OR_SLOW,
    by_name,
    catalogue,
    named,
    quick_or_slow,
    ready,
    statistics,
)
from tfmmrec.alignment import AdversarialAlignment
from tfmmrec.runs import RunConfig, load_run, write_config

pytestmark = pytest.mark.usefixtures("deterministic")
STEPS = 3


@functools.cache
def fitted(case_name):
    """A model before and after three steps."""
    made = ready(named(case_name))
    before = [variable.numpy() for variable in made.model.variables]
    losses = made.fit(STEPS)
    return SimpleNamespace(ready=made, before=before, losses=losses, vectors=made.vectors())


def is_player(layer):
    """Whether a layer has an optimizer of its own."""
    return isinstance(layer, AdversarialAlignment) and layer.alternating


def kept_by_steps(model):
    """What steps change beside what the model's optimizer trains: counts, estimates, tables, second players."""
    metrics = {variable.ref() for metric in model.metrics for variable in metric.variables}
    own = {v.ref() for layer in model.submodules if hasattr(layer, "count") for v in (layer.count,)}
    own |= {v.ref() for layer in model.submodules if is_player(layer) for v in layer.non_trainable_variables}
    frequency = getattr(model, "streaming_frequency", None)
    if model.needs_graph:
        candidates = model.candidate_tower.fusion
        own |= {candidates.table.ref(), candidates.in_graph.ref(), *(v.ref() for v in candidates.content.values())}
        own |= {v.ref() for v in model.propagation.non_trainable_variables}
    if model.settles:  # in closed form, after an epoch
        towers = model.candidate_tower, model.history_tower
        own |= {model.query_tower.fusion.scale.ref(), *(tower.fusion.content_map.ref() for tower in towers)}
    return metrics | own | {v.ref() for v in (frequency.variables if frequency is not None else [])}


@pytest.mark.parametrize("case", QUICK_OR_SLOW, ids=by_name)
def test_gradients_reach_every_trainable_weight_and_no_frozen_one(case):
    done = fitted(case.name)
    model = done.ready.model
    trainable = {variable.ref() for variable in model.trainable_variables}
    moving = kept_by_steps(model)
    assert trainable and not trainable & moving
    for variable, before in zip(model.variables, done.before, strict=True):
        moved = not np.array_equal(variable.numpy(), before)
        if variable.ref() in trainable:
            assert moved, f"{variable.name} {variable.shape} is to be trained, but no step moves it"
        elif variable.ref() not in moving:
            assert not moved, f"{variable.name} {variable.shape} is frozen, but a step moved it"


@pytest.mark.parametrize("case", QUICK_OR_SLOW, ids=by_name)
def test_cached_encoders_are_frozen_and_others_are_not(case):
    tower = fitted(case.name).ready.model.candidate_tower
    for name, encoder in tower.encoders.items():
        if name in tower.cached_features:
            assert not encoder.trainable_variables, name
        elif encoder.variables and name != "look":
            assert encoder.trainable_variables, name


NOTHING_OF_ITS_OWN_IS_DRAWN = {"late", "hybrid", "one history", "full softmax", "gru", "quotients of ids", "aligned"}
NOTHING_OF_ITS_OWN_IS_DRAWN |= {f"{name} under a softmax" for name in ("vbpr", "lightgcn", "mmgcn", "lattice")}
"""Cases whose random numbers are those of another one."""


@pytest.mark.parametrize(
    "case", quick_or_slow([case for case in CASES if case.name not in NOTHING_OF_ITS_OWN_IS_DRAWN]), ids=by_name
)
def test_a_fixed_seed_repeats_to_the_last_digit_and_another_does_not(case):
    done, again = fitted(case.name), ready(case)
    assert again.fit(STEPS) == done.losses
    for one, other in zip(again.model.variables, done.ready.model.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.name)
    tf.keras.utils.set_random_seed(1)
    of_another = case.build().variables
    assert not all(np.array_equal(*pair) for pair in zip(of_another, done.before, strict=True))


@pytest.mark.parametrize("case", QUICK_OR_SLOW, ids=by_name)
def test_a_model_comes_back_from_its_run_with_equal_vectors(case, tmp_path):
    done = fitted(case.name)
    statistics().save(tmp_path / "statistics.json")
    tf.train.Checkpoint(model=done.ready.model).write(str(tmp_path / "checkpoints" / "final"))
    config = RunConfig(
        run_id="a",
        version=tfmmrec.__version__,
        model=case.model,
        hyperparameters=case.hyperparameters,
        options={"seed": 0, "batch_size": 24},
        data_schema=catalogue().schema,
        finished=True,
    )
    write_config(tmp_path, config)
    run = load_run(tmp_path)
    embedder = run.embedder(catalogue())
    candidates = embedder.candidates()
    np.testing.assert_array_equal(candidates, done.vectors[0])
    queries = embedder.queries(np.arange(len(done.vectors[1])), candidates, catalogue().train)
    np.testing.assert_array_equal(queries, done.vectors[1])
