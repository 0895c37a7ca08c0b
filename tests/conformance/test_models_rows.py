"""A model gives each row one vector of finite numbers, in any batch, whatever of the row is missing."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import CASES, HISTORY_LENGTH, by_name, catalogue, named, quick_or_slow, ready
from tfmmrec.embedding import raw_inputs
from tfmmrec.encoders import SequenceHistoryEncoder
from tfmmrec.encoders.history_tokens import HistoryTokens
from tfmmrec.zoo import ZOO

EVERY = pytest.mark.parametrize("case", quick_or_slow(CASES, quick=[named(name) for name in ZOO]), ids=by_name)  # cheap
ROWS = np.arange(10)  # of them candidates 0 to 6 miss something


@functools.cache
def built(case_name):
    """A model whose weights are not the initial ones, and the numeric inputs of ten rows of each side."""
    model = named(case_name).build()
    if model.needs_graph or model.settles:
        made = ready(named(case_name))  # with the content by which candidates find their neighbours, or with factors
        model = made.model
    for number, variable in enumerate(model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    if model.needs_graph:
        model.materialize()
    if model.settles:
        made.settle()
    dataset = catalogue()
    candidates = raw_inputs(model.candidate_tower, dataset.candidates, dataset.schema.candidates.features, ROWS)
    queries = raw_inputs(model.query_tower, dataset.queries, dataset.schema.queries.features, ROWS)
    return model, tensors(model.candidate_tower, candidates), tensors(model.query_tower, queries)


def tensors(tower, raw):
    signature = tower.raw_signature()
    return tower.preprocess({name: tf.constant(value, signature[name].dtype) for name, value in raw.items()})


def embed_candidates(model, inputs):
    return model.embed_candidates(inputs).numpy()


def embed_queries(model, inputs, history, table):
    if "history" in model.query_tower.encoders:
        inputs = inputs | {"history": {"rows": tf.constant(history)}}
    return model.embed_queries(inputs, table).numpy()


def of_rows(inputs, part):
    return tf.nest.map_structure(lambda tensor: tensor[part], inputs)


def histories():
    rows = np.random.default_rng(0).integers(0, len(ROWS), (len(ROWS), HISTORY_LENGTH)).astype(np.int32)
    rows[1, 2:] = -1
    rows[2] = -1
    return rows


def missing_of(tower, name):
    """A feature that no row has, as its encoder gives it."""
    spec = tower.raw_signature()[name]
    return tensors(tower, {name: np.full((len(ROWS), *spec.shape[1:]), "" if spec.dtype == tf.string else np.nan)})


@EVERY
def test_every_row_has_a_vector_of_its_own_and_both_sides_of_retrieval_one_size(case):
    model, candidates, queries = built(case.name)
    one = embed_candidates(model, candidates)
    other = embed_queries(model, queries, histories(), model.embed_history(candidates))
    assert len(one) == len(other) == len(ROWS)
    assert case.kind == "ranking" or one.shape == other.shape
    assert np.isfinite(one).all() and np.isfinite(other).all()
    assert len(np.unique(one.round(5), axis=0)) == len(ROWS) == len(np.unique(other.round(5), axis=0))


@EVERY
def test_a_row_does_not_depend_on_its_batch(case):
    model, candidates, queries = built(case.name)
    table, rows = model.embed_history(candidates), histories()
    whole = embed_candidates(model, candidates), embed_queries(model, queries, rows, table)
    for size in (1, 4):  # 4: the last batch has two
        parts = [slice(start, start + size) for start in range(0, len(ROWS), size)]
        alone = [embed_candidates(model, of_rows(candidates, part)) for part in parts]
        np.testing.assert_allclose(np.concatenate(alone), whole[0], rtol=1e-4, atol=1e-5)
        alone = [embed_queries(model, of_rows(queries, part), rows[part], table) for part in parts]
        np.testing.assert_allclose(np.concatenate(alone), whole[1], rtol=1e-4, atol=1e-5)


@EVERY
def test_each_modality_of_a_candidate_may_be_missing_and_matters(case):
    model, candidates, _ = built(case.name)
    if model.needs_graph:  # content speaks for those that are not in the graph
        found = embed_candidates(model, candidates)
        candidates = candidates | missing_of(model.candidate_tower, "id")
        changed = np.abs(embed_candidates(model, candidates) - found).max(axis=1) > 1e-5
        np.testing.assert_array_equal(changed, catalogue().train.counts()[ROWS] > 0)
    expected = embed_candidates(model, candidates)
    nothing = {}
    for name in candidates:
        missing = missing_of(model.candidate_tower, name)
        found, nothing = embed_candidates(model, candidates | missing), nothing | missing
        assert np.isfinite(found).all(), name
        changed = np.abs(found - expected).max(axis=1) > 1e-5
        changed |= name == "id" and model.needs_graph
        assert changed[7:].all(), name  # where everything else is there, it was too
    found = embed_candidates(model, nothing)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, np.repeat(found[:1], len(ROWS), axis=0), atol=1e-5)


@EVERY
def test_each_modality_of_a_query_may_be_missing_and_matters(case):
    model, candidates, queries = built(case.name)
    table, rows = model.embed_history(candidates), histories()
    expected = embed_queries(model, queries, rows, table)
    nothing = {}
    for name in queries:
        missing = missing_of(model.query_tower, name)
        found, nothing = embed_queries(model, queries | missing, rows, table), nothing | missing
        assert np.isfinite(found).all(), name
        assert (np.abs(found - expected).max(axis=1) > 1e-5).all(), name
    found = embed_queries(model, nothing, np.full_like(rows, -1), table)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, np.repeat(found[:1], len(ROWS), axis=0), atol=1e-5)


@EVERY
def test_a_history_matters_where_there_is_one_and_its_order_where_it_is_read_as_a_sequence(case):
    model, candidates, queries = built(case.name)
    table, rows = model.embed_history(candidates), histories()
    expected = embed_queries(model, queries, rows, table)
    without = embed_queries(model, queries, np.full_like(rows, -1), table)
    has_one = (rows >= 0).any(axis=1) & ("history" in model.query_tower.encoders)
    np.testing.assert_array_equal(np.abs(without - expected).max(axis=1) > 1e-5, has_one)
    turned = embed_queries(model, queries, rows[:, ::-1].copy(), table)
    has_order = isinstance(model.query_tower.encoders.get("history"), SequenceHistoryEncoder | HistoryTokens)
    several = ((rows >= 0).sum(axis=1) > 1) & has_order
    np.testing.assert_allclose(turned[~several], expected[~several], rtol=1e-4, atol=1e-5)
    assert (np.abs(turned - expected).max(axis=1)[several] > 1e-4).all()
