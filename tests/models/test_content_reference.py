import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import ModelCase, catalogue, ready
from tests.encoders.reusable import write_text_model
from tfmmrec.embedding import preprocess_entities
from tfmmrec.models.content_reference import encoded, fixed_content, has_graphs, keep_reference

FIXED = {"title", "photo", "look"}


def made(**options):
    return ready(ModelCase("graph", "two_tower", {"fusion": "graph", "dim": 8, "feature_dim": 6} | options))


def tables(model):
    """Preprocessed features of the catalogue's candidates."""
    return preprocess_entities(
        model.candidate_tower, catalogue().candidates, catalogue().schema.candidates.features, ("title", "photo")
    )


@functools.cache
def looked_at():
    """A model that no test changes, and its tables."""
    model = made().model
    return model, tables(model)


def test_content_that_no_step_changes():
    encoders = looked_at()[0].candidate_tower.encoders
    assert set(fixed_content(encoders)) == FIXED
    encoders = made(text_mode="finetuned", image_mode="finetuned").model.candidate_tower.encoders
    assert fixed_content(encoders) == ["look"]


@pytest.mark.parametrize("name", ["look", "photo", "genre"])
def test_rows_are_encoded_whatever_the_size_of_a_batch(name):
    model, own = looked_at()
    rows = np.array([4, 2, 29, 0, 11])
    whole = encoded(model.candidate_tower, own, name, rows)
    parts = encoded(model.candidate_tower, own, name, rows, batch_size=2)
    inputs = {key: tf.constant(array[rows]) for key, array in own[name].items()}
    expected = inputs if "vector" in inputs else model.candidate_tower.encoders[name](inputs)
    for found in (whole, parts):
        np.testing.assert_allclose(found[0], expected["vector"], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found[1], expected["present"])


@pytest.mark.parametrize("options", [{}, {"candidate_id": False}, {"loss": "sampled_softmax", "global_batch_size": 32}])
def test_graphs_are_of_the_known_candidates_or_of_all_where_there_are_no_ids(options):
    model = made(**options).model if options else looked_at()[0]
    own = tables(model) if options else looked_at()[1]
    assert has_graphs(model.candidate_tower) and model.needs_catalogue
    rows = np.arange(30) if "candidate_id" in options else np.flatnonzero(catalogue().train.counts() > 0)
    graphs = model.candidate_tower.fusion.content_graphs
    assert set(graphs) == FIXED
    for name, graph in graphs.items():
        vectors, present = encoded(model.candidate_tower, own, name, rows)
        expected = np.where(
            present[:, None], vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), 0
        )
        np.testing.assert_allclose(graph.reference, expected, rtol=1e-4, atol=1e-5)
        assert np.abs(graph.propagated.numpy() - graph.reference.numpy()).max() > 0.01


def test_what_a_catalogue_lacks_is_absent():
    model = made().model
    some = {name: {key: array[10:] for key, array in part.items()} for name, part in looked_at()[1].items()}
    keep_reference(model.candidate_tower, some)
    graph = model.candidate_tower.fusion.content_graphs["look"]
    kept = np.abs(graph.reference.numpy()).max(axis=1) > 0
    known = np.flatnonzero(catalogue().train.counts() > 0)
    np.testing.assert_array_equal(kept, known >= 10)


def test_a_step_over_the_whole_catalogue_looks_for_no_neighbours(monkeypatch):
    ready_made = made(candidate_id=False, loss="full_softmax")
    model, sizes = ready_made.model, []
    for graph in model.candidate_tower.fusion.content_graphs.values():
        look = graph._of_nearest
        monkeypatch.setattr(graph, "_of_nearest", lambda rows, look=look: (sizes.append(len(rows)), look(rows))[1])
    batch = tf.nest.map_structure(tf.constant, ready_made.stream.batch(0))
    assert np.isfinite(model.compute_loss(batch, training=True))
    assert sizes and set(sizes) == {0}


def test_pretrained_content_is_centred_as_the_tower_centres_it(tmp_path):
    model = made(
        pretrained={"title": str(write_text_model(tmp_path / "m"))}, pretrained_mode="frozen", pretrained_centered=True
    ).model
    tower, rows = model.candidate_tower, np.arange(6)
    own = preprocess_entities(tower, catalogue().candidates, catalogue().schema.candidates.features)
    plain, _ = encoded(tower, own, "title", rows)
    mean = np.arange(1.0, 1.0 + plain.shape[1], dtype=np.float32)
    tower.encoders["title"].centering.mean.assign(mean)
    vectors, present = encoded(tower, own, "title", rows)
    np.testing.assert_allclose(vectors, np.where(present[:, None], plain - mean, 0.0), atol=1e-5)
    inputs = {name: {key: tf.constant(array[rows]) for key, array in part.items()} for name, part in own.items()}
    np.testing.assert_allclose(tower.encode(inputs)["title"]["vector"], vectors, atol=1e-5)
