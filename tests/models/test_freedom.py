import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, NUM_QUERIES, ModelCase, catalogue, ready, statistics
from tests.models.whole_graph import content_graph, propagated
from tfmmrec.models.freedom import build_freedom
from tfmmrec.types import UsageError

SMALL = {"dim": 5, "feature_dim": 6, "text_dim": 5, "image_size": 16, "num_graph_neighbors": 3}
WEIGHTS = {"title": 0.5, "photo": 0.2, "look": 1.0}


def made(**options):
    return ready(ModelCase("freedom", "freedom", SMALL | options))


def adjacency():
    found = np.zeros((NUM_QUERIES, NUM_CANDIDATES))
    for query in range(NUM_QUERIES):
        found[query, catalogue().train.candidates_of(query)] = 1.0
    return found[:, catalogue().train.counts() > 0]


def of_whole_graph(model):
    """The vectors of all queries and of the known candidates, by the paper's equations."""
    own = [tower.encoders["id"].embeddings.numpy() for tower in (model.query_tower, model.candidate_tower)]
    queries, candidates = propagated(adjacency(), *own, 2)
    content = {name: vectors.numpy() for name, vectors in model.candidate_tower.fusion.content.items()}
    shares = {name: WEIGHTS[name] * (np.abs(vectors).max(axis=1) > 0) for name, vectors in content.items()}
    for name, vectors in content.items():
        share = shares[name] / np.maximum(sum(shares.values()), 1e-9)
        candidates = candidates + share[:, None] * content_graph(vectors, 3, lambda cosine: 1.0) @ own[1]
    return queries, candidates


@pytest.fixture(scope="module")
def fitted():
    """After two steps."""
    fitted = made(modality_weights=WEIGHTS)
    fitted.fit(2)
    return fitted


def test_towers_give_what_the_whole_graphs_give(fitted):
    queries, candidates = of_whole_graph(fitted.model)
    known = catalogue().train.counts() > 0
    found_candidates, found_queries = fitted.vectors()
    np.testing.assert_allclose(found_candidates[known], candidates, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_queries, queries, rtol=1e-4, atol=1e-5)
    assert (np.abs(found_candidates[~known]).max(axis=1) > 0).all()  # by their content


def test_a_query_outside_the_graph_is_its_history_s(fitted):
    table = fitted.embedder.history_vectors()
    inputs = {"id": {"row": tf.constant([-1])}, "history": {"rows": tf.constant([[3, 7, -1]])}}
    found = fitted.model.embed_queries(inputs, tf.constant(table))
    np.testing.assert_allclose(found, [(table[3] + table[7]) / 2**0.5], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["bpr", "full_softmax"])
def test_losses_of_z_and_of_content(loss):
    built = made(loss=loss, modality_weights=WEIGHTS, edge_dropout=0.0, content_weight=0.3, num_negatives=7)
    model, batch = built.model, built.stream.batch(0)
    queries, candidates = of_whole_graph(model)
    queries = queries[batch["query"]["id"]["row"]]
    known = np.flatnonzero(catalogue().train.counts() > 0)
    positives = np.searchsorted(known, batch["candidate_rows"][batch["positive"]])
    tables, there = [candidates], [np.ones(len(known), bool)]
    for name, project in model.projections.items():
        vectors = model.candidate_tower.fusion.content[name].numpy()
        tables.append(vectors @ project.kernel.numpy() + project.bias.numpy())
        there.append(np.abs(vectors).max(axis=1) > 0)
    assert not np.all(there)  # something is missing, and some of a batch's candidates miss it
    losses = []
    for table, present in zip(tables, there, strict=True):
        if loss == "full_softmax":
            table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
            unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
            logits = np.where(present, unit @ table.T / 0.2, -np.inf)
            found = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), positives]
        else:
            drawn = np.searchsorted(known, model.negative_sampler(training=False)[0].numpy())
            scores = queries @ table.T
            difference = scores[:, drawn] - scores[np.arange(len(scores)), positives][:, None]
            counts = (drawn[None, :] != positives[:, None]) & present[drawn]
            found = (np.log1p(np.exp(difference)) * counts).sum(axis=1) / counts.sum(axis=1)
        losses.append(np.where(present[positives], found, 0.0))
    expected = losses[0] + 0.3 * sum(losses[1:])
    found = model.compute_loss(tf.nest.map_structure(tf.constant, batch), training=False)
    np.testing.assert_allclose(found, expected.mean(), rtol=1e-4)


def test_a_step_draws_edges_and_rather_those_between_few():
    built = made(edge_dropout=0.7)
    model, whole = built.model, built.model._graph
    size = whole.num_edges
    drawn = []
    for _ in range(400):
        part = model.training_graph({})
        assert int(part.num_edges) == size - int(0.7 * size) == part.edges.shape[0]
        drawn.append(part.edges.numpy())
    np.testing.assert_array_equal(part.query_degrees[:, 0], np.bincount(drawn[-1][:, 0], minlength=NUM_QUERIES))
    keys, counts = np.unique(np.concatenate(drawn) @ [1000, 1], return_counts=True)
    edges = whole.edges.numpy()
    assert keys.tolist() == (edges @ [1000, 1]).tolist()  # each was drawn some time
    chance = (whole.query_degrees.numpy()[edges[:, 0], 0] * whole.candidate_degrees.numpy()[edges[:, 1], 0]) ** -0.5
    assert np.corrcoef(counts, chance)[0, 1] > 0.8
    assert counts[chance > np.quantile(chance, 0.9)].mean() > 1.3 * counts[chance < np.quantile(chance, 0.1)].mean()


def test_tables_are_made_of_all_edges():
    whole, pruned = made(edge_dropout=0.0), made(edge_dropout=0.9)
    assert whole.model.training_graph({}) is not None
    for one in (whole, pruned):
        one.model.materialize()
    np.testing.assert_array_equal(whole.embedder.candidates(), pruned.embedder.candidates())


def test_training_needs_the_catalogue():
    model = build_freedom(catalogue().schema, statistics(), **SMALL)
    model.build_towers()
    model.set_graph(catalogue().train)
    with pytest.raises(UsageError, match="call set_catalogue before training"):
        model.training_graph({})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"edge_dropout": 1.0}, r"edge_dropout must lie in \[0, 1\).* got 1.0"),
        ({"content_weight": -1.0}, "content_weight must be 0 or more"),
        ({"num_graph_neighbors": 0}, "num_graph_neighbors 1 or more"),
        ({"modality_weights": {"title": 1.0}}, "a positive number for each of look, photo, title"),
    ],
)
def test_what_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        build_freedom(catalogue().schema, statistics(), **(SMALL | wrong))


def test_candidates_without_content_are_refused():
    schema = catalogue().schema
    bare = schema.model_copy(update={"candidates": schema.candidates.model_copy(update={"features": {}})})
    with pytest.raises(UsageError, match="freedom needs candidates with a text, image, .* or vector"):
        build_freedom(bare, statistics(), **SMALL)


def test_replicas_draw_the_same_edges(replicas):
    case = ModelCase("freedom", "freedom", SMALL | {"edge_dropout": 0.6, "num_negatives": 16})
    one, two = (ready(case, lambda: tf.keras.optimizers.SGD(0.2), strategy) for strategy in (None, replicas(2)))
    np.testing.assert_allclose(two.fit(3), one.fit(3), rtol=1e-5)
    for found, expected in zip(two.model.trainable_variables, one.model.trainable_variables, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
