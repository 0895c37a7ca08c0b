import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import NUM_CANDIDATES, SAMPLED, SMALL, ModelCase, catalogue, ready, statistics
from tfmmrec.data.rating_biases import rating_biases
from tfmmrec.embedding import raw_inputs
from tfmmrec.models import TwoTower
from tfmmrec.models.multitask import Multitask, build_multitask
from tfmmrec.models.task_weights import TaskWeights
from tfmmrec.types import UsageError

WEIGHTS = {"rating_weight": 2.0, "tags_weight": 0.5, "category_weight": 0.25}
ALL = {"category": "artist", "rating_dim": 3, **WEIGHTS}
SOURCES = {"tags": ("title", "photo", "look"), "category": ("photo", "look")}


def trained_somewhat(**own):
    """A model with ratings, tags (genre) and categories (artist), its weights away from where they start."""
    made = ready(ModelCase("multitask", "multitask", ALL | own))
    for number, variable in enumerate(made.model.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 3], stddev=0.3))
    if made.model.history_table is not None:
        made.model.history_table.assign(made.embedder.candidates())
    return made, tf.nest.map_structure(tf.constant, made.stream.batch(0))


def vectors_of(model, sources):
    """The candidate tower's vectors where everything else is missing in the table, `[num_candidates, dim]`."""
    dataset, tower = catalogue(), model.candidate_tower
    raw = raw_inputs(tower, dataset.candidates, dataset.schema.candidates.features, np.arange(NUM_CANDIDATES))
    signature = tower.raw_signature()
    for name in set(raw) - set(sources):
        raw[name] = np.full(raw[name].shape, "" if signature[name].dtype == tf.string else np.nan, raw[name].dtype)
    return tower(tower.preprocess({name: tf.constant(part, signature[name].dtype) for name, part in raw.items()}))


def label_losses(model, name):
    """The loss of every candidate, NaN for those that have none."""
    task, candidates = model.labels[name], catalogue().candidates
    logits = (
        vectors_of(model, SOURCES[name]).numpy() @ task.output_layer.kernel.numpy() + task.output_layer.bias.numpy()
    )
    vocabulary = statistics().candidates[task.feature].vocabulary
    losses = np.full(NUM_CANDIDATES, np.nan)
    for row, value in enumerate(candidates.features[task.feature].to_pylist()):
        if value and name == "tags":
            chance = 1 / (1 + np.exp(-logits[row]))
            truth = np.isin(vocabulary, value.split("|"))
            losses[row] = -np.log(np.where(truth, chance, 1 - chance)).sum()
        elif value:
            losses[row] = np.log(np.exp(logits[row]).sum()) - logits[row, vocabulary.index(value)]
    return losses


def rating_loss(made, batch):
    model, task = made.model, made.model.rating
    rows = batch["candidate_rows"].numpy()[batch["positive"]]
    pooled = made.embedder.history_vectors() if model.history_table is None else model.history_table
    z = model.embed_queries(batch["query"], pooled).numpy() @ task.of_query.kernel.numpy()
    w = made.embedder.candidates()[rows] @ task.of_candidate.kernel.numpy()
    of_query = task.query_bias.numpy()[batch["query_rows"]]
    of_candidate = task.candidate_bias.numpy()[rows]
    given = catalogue().train.columns["rating"]
    mean, stddev = np.nanmean(given), np.nanstd(given)
    error = (batch["rating"] - mean) / stddev - of_query - of_candidate - (z * w).sum(axis=1)
    penalty = of_query**2 + of_candidate**2 + (z**2).sum(axis=1) + (w**2).sum(axis=1)
    return np.nanmean(np.where(np.isnan(batch["rating"]), np.nan, error**2 + 0.02 * penalty))


@pytest.mark.parametrize("own", [{}, SAMPLED], ids=["full softmax", "sampled softmax"])
def test_the_loss_is_the_weighted_sum_of_the_tasks(own):
    made, batch = trained_somewhat(**own)
    rows = batch["candidate_rows"].numpy()
    known = np.flatnonzero(catalogue().train.counts() > 0) if not own else rows[rows >= 0]
    assert np.isnan(batch["rating"]).any()
    expected = {
        "retrieval": float(TwoTower.compute_loss(made.model, batch)),
        "rating": rating_loss(made, batch),
        "tags": np.nanmean(label_losses(made.model, "tags")[known]),
        "category": np.nanmean(label_losses(made.model, "category")[known]),
    }
    total = expected["retrieval"] + 2.0 * expected["rating"] + 0.5 * expected["tags"] + 0.25 * expected["category"]
    assert float(made.model.compute_loss(batch)) == pytest.approx(total, rel=1e-4)
    found = {metric.name: float(metric.result()) for metric in made.model.metrics}
    for name, loss in expected.items():
        assert found[f"{name}_loss"] == pytest.approx(loss, rel=1e-4), name


def test_a_training_tells_the_loss_of_each_task():
    made, _ = trained_somewhat()
    logs = made.model.fit(made.stream.dataset(), epochs=1, steps_per_epoch=2, verbose=0).history
    found = {name: values[0] for name, values in logs.items()}
    weights = {"retrieval_loss": 1.0, "rating_loss": 2.0, "tags_loss": 0.5, "category_loss": 0.25}
    assert set(found) == {"loss", "regularization", *weights}
    assert found["loss"] == pytest.approx(sum(weight * found[name] for name, weight in weights.items()), rel=1e-5)


def test_each_task_s_gradient_reaches_the_towers_it_is_made_of():
    made, batch = trained_somewhat()
    model = made.model
    kernels = [model.query_tower.fusion.output_layer.kernel, model.candidate_tower.fusion.output_layer.kernel]
    reached = {}
    for task in ("rating", "tags", "category"):
        model.weights_of_tasks = TaskWeights({task: 1.0})
        with tf.GradientTape() as tape:
            loss = model.compute_loss(batch, training=True)
        reached[task] = [gradient is not None and bool(np.any(gradient)) for gradient in tape.gradient(loss, kernels)]
    assert reached == {"rating": [True, True], "tags": [False, True], "category": [False, True]}


@pytest.mark.parametrize("name", ["tags", "category"])
def test_labels_are_not_predicted_from_themselves(name):
    made, _ = trained_somewhat()
    model, tables = made.model, tf.nest.map_structure(tf.constant, made.embedder.candidate_tables)
    expected = model.predict_labels(name, tables)
    for feature in tables:
        changed = tables | {feature: {key: tensor[::-1] for key, tensor in tables[feature].items()}}
        found = model.predict_labels(name, changed)
        assert (np.abs(found - expected).max() > 1e-3) == (feature in SOURCES[name]), feature


def test_ratings_are_predicted_from_vectors():
    made, _ = trained_somewhat()
    candidates, queries = (tf.constant(vectors[:3]) for vectors in made.vectors())
    rows = tf.constant([0, 1, -1]), tf.constant([2, -1, 0])
    found = made.model.predict_ratings(queries, candidates, *rows)
    np.testing.assert_allclose(found, made.model.rating([queries, candidates], *rows)["rating"])
    bare = build(rating_weight=0.0)
    with pytest.raises(UsageError, match="has learned no ratings: train it on a log with `rating: COLUMN`"):
        bare.predict_ratings(queries, candidates, *rows)


def build(without=(), ratings=True, **hyperparameters):
    """A model of the catalogue without some features of candidates, perhaps without ratings."""
    schema = catalogue().schema
    features = {name: found for name, found in schema.candidates.features.items() if name not in without}
    changed = {"candidates": schema.candidates.model_copy(update={"features": features})}
    if not ratings:
        changed["interactions"] = schema.interactions.model_copy(update={"rating": None})
    model = build_multitask(schema.model_copy(update=changed), statistics(), **(SMALL | hyperparameters))
    model.build_towers()
    return model


def tasks(model):
    return list(model.task_trackers), model.weights_of_tasks.task_weights


def test_what_a_dataset_lacks_is_left_out_and_so_is_what_weighs_nothing():
    assert tasks(build()) == (["retrieval", "rating", "tags"], {"retrieval": 1.0, "rating": 1.0, "tags": 1.0})
    assert tasks(build(["genre", "tags"]))[0] == ["retrieval", "rating"]
    assert tasks(build(ratings=False, category="artist"))[0] == ["retrieval", "tags", "category"]
    assert tasks(build(rating_weight=0.0))[0] == ["retrieval", "tags"]
    assert tasks(build(tags_weight=0.0, task_weighting="uncertainty"))[0] == ["retrieval", "rating"]


def test_nothing_beside_the_retrieval_is_refused():
    message = "nothing to learn here beside the retrieval: declare `rating: COLUMN`.*`separator`.*or take two_tower"
    for model in ({"without": ["genre", "tags"], "ratings": False}, {"rating_weight": 0.0, "tags_weight": 0.0}):
        with pytest.raises(UsageError, match=message):
            build(**model)


def test_a_feature_that_is_named_and_left_out_is_refused():
    with pytest.raises(UsageError, match="tags=genre is named, but tags_weight=0 leaves it out"):
        build(tags="genre", tags_weight=0.0)


def test_biases_begin_with_what_they_come_to_alone():
    given = catalogue().train.columns["rating"]
    alone = rating_biases(catalogue().train, np.nanmean(given))
    task = build().rating
    np.testing.assert_allclose(task.query_bias * np.nanstd(given), alone.of_queries, atol=1e-5)
    np.testing.assert_allclose(task.candidate_bias * np.nanstd(given), alone.of_candidates, atol=1e-5)
    assert np.abs(alone.of_queries).max() > 0.1


def test_settings_arrive():
    model = build(rating_dim=5, rating_regularization=0.5, tags="tags", max_labels=2, loss="bpr", fusion="late")
    assert (model.rating.dim, model.rating.regularization, model.loss_name) == (5, 0.5, "bpr")
    assert (model.labels["tags"].feature, model.labels["tags"].num_labels) == ("tags", 2)
    assert build().loss_name == "full_softmax"
    assert type(model) is Multitask and type(model.candidate_tower.fusion).__name__ == "LateFusion"


def test_ratings_need_rows_that_are_interactions():
    with pytest.raises(
        UsageError, match="rows of the multinomial loss are queries, but a rating is of .* rating_weight=0"
    ):
        build(loss="multinomial")
    made = ready(ModelCase("multitask", "multitask", {"loss": "multinomial", "rating_weight": 0.0}))
    assert np.isfinite(made.fit(1)).all()  # tags need none


def test_a_batch_without_ratings_is_refused():
    made, batch = trained_somewhat()
    with pytest.raises(UsageError, match="the batch has no `rating`"):
        made.model.compute_loss({name: part for name, part in batch.items() if name != "rating"})
