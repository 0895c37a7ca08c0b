import numpy as np
import pytest
import tensorflow as tf

from tests.models.small_two_tower import (
    CANDIDATE_IDS,
    CATALOGUE,
    COUNTS,
    DIM,
    LOOKS,
    NUM_CANDIDATES,
    QUERY_IDS,
    TEMPERATURE,
    WEIGHT,
    interactions,
    log_softmax,
    logits_of,
    make,
    query_inputs,
)
from tfmmrec.encoders import IdentifierEncoder
from tfmmrec.fusion import EarlyFusion
from tfmmrec.losses import log_inclusion_probability
from tfmmrec.models import TwoTower
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError


@pytest.mark.parametrize("pooling", [False, True])
def test_full_softmax_is_the_weighted_mean_over_what_was_ever_chosen(pooling):
    model = make(pooling=pooling)
    inputs = interactions([0, 4, 6, -1], [1, 0, 2, 1])
    own = [4, 0, 6, 4]
    found = -log_softmax(logits_of(model), COUNTS > 0)[np.arange(4), own]
    assert float(model.compute_loss(inputs)) == pytest.approx((found * WEIGHT).sum() / WEIGHT.sum(), rel=1e-5)


@pytest.mark.parametrize("pooling", [False, True])
def test_multinomial_is_the_mean_over_interactions(pooling):
    model = make("multinomial", pooling=pooling)
    targets = np.array([[0, 0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 1, 0]])
    inputs = {"query": query_inputs(), "targets": tf.constant(targets, tf.uint8)}
    expected = -(targets * log_softmax(logits_of(model), COUNTS > 0)).sum() / targets.sum()
    assert float(model.compute_loss(inputs)) == pytest.approx(expected, rel=1e-5)


def test_sampled_softmax_is_over_the_batch_with_counted_frequencies():
    model = make("sampled_softmax", candidate_counts=COUNTS, global_batch_size=4)
    rows, positive = [0, 4, 6, -1], [1, 0, 2, 1]
    model.history_table.assign(np.random.default_rng(2).normal(size=(NUM_CANDIDATES, DIM)))
    logits = logits_of(model, model.history_table.numpy()) - log_inclusion_probability(COUNTS, 4)
    found = -log_softmax(logits, np.isin(np.arange(NUM_CANDIDATES), rows))[np.arange(4), [4, 0, 6, 4]]
    expected = (found * WEIGHT).sum() / WEIGHT.sum()
    assert float(model.compute_loss(interactions(rows, positive))) == pytest.approx(expected, rel=1e-5)


def test_sampled_softmax_of_a_stream_estimates_frequencies_as_it_trains():
    model = make("sampled_softmax")
    inputs = interactions([0, 4, 6, -1], [1, 0, 2, 1])
    model.compute_loss(inputs, training=False)
    assert int(model.streaming_frequency.step) == 0
    first = float(model.compute_loss(inputs, training=True))
    for _ in range(5):
        model.compute_loss(interactions([0, 1, 6, -1], [1, 0, 2, 1]), training=True)
    assert int(model.streaming_frequency.step) == 6
    assert float(model.compute_loss(inputs)) != pytest.approx(first)  # 0 and 6 have become frequent


def test_content_weight_adds_the_loss_with_all_ids_absent():
    inputs = interactions([0, 4, 6, -1], [1, 0, 2, 1])
    plain, model = make(), make(content_weight=0.3)
    base = float(plain.compute_loss(inputs, training=True))
    absent = CATALOGUE | {"id": {"row": np.full(NUM_CANDIDATES, -1, np.int32)}}
    content = plain.embed_candidates(tf.nest.map_structure(tf.constant, absent)).numpy()
    pooled = plain.embed_history(tf.nest.map_structure(tf.constant, CATALOGUE))
    logits = plain.embed_queries(query_inputs(), pooled).numpy() @ content.T / TEMPERATURE
    losses = -log_softmax(logits, COUNTS > 0)[np.arange(4), [4, 0, 6, 4]]
    expected = base + 0.3 * (losses * WEIGHT).sum() / WEIGHT.sum()
    assert float(model.compute_loss(inputs, training=True)) == pytest.approx(expected, rel=1e-5)
    assert float(model.compute_loss(inputs)) == pytest.approx(base, rel=1e-5)  # in training only
    ids_alone = make(looks=False, content_weight=0.3)  # without content there is nothing to stand in
    reference = make(looks=False).compute_loss(inputs, training=True)
    assert float(ids_alone.compute_loss(inputs, training=True)) == pytest.approx(float(reference), rel=1e-6)


def test_content_follows_the_queries_and_not_the_other_way_round():
    inputs, gradients = interactions([0, 4, 6, -1], [1, 0, 2, 1]), []
    for weight in (0.0, 0.3):
        model = make(history=False, content_weight=weight)
        weights = [model.query_tower.encoders["id"].embeddings, *model.candidate_tower.fusion.trainable_variables]
        with tf.GradientTape() as tape:
            loss = model.compute_loss(inputs, training=True)
        gradients.append([tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(loss, weights)])
    np.testing.assert_allclose(gradients[1][0], gradients[0][0], rtol=1e-5, atol=1e-7)
    assert not any(np.allclose(*pair) for pair in zip(gradients[1][1:], gradients[0][1:], strict=True))


def test_each_candidate_is_embedded_once_in_a_step():
    for pooling in (False, True):
        model = make(pooling=pooling, content_weight=0.3)
        model.compute_loss(interactions([0, 4, 6, -1], [1, 0, 2, 1]), training=True)
        assert model.candidate_tower.encoders["look"].calls == [NUM_CANDIDATES]
    model = make("sampled_softmax")
    model.compute_loss(interactions([0, 4, -1], [1, 0, 1, 1]), training=True)
    assert model.candidate_tower.encoders["look"].calls == [3]


def test_gradients_flow_through_a_history_where_the_catalogue_is_embedded():
    for pooling, tower in ((False, "candidate_tower"), (True, "history_tower")):
        model = make("multinomial", pooling=pooling)
        targets = tf.constant(np.eye(NUM_CANDIDATES)[[6, 3, 3, 6]])
        weights = getattr(model, tower).encoders["id"].embeddings
        with tf.GradientTape() as tape:
            queries = model.embed_queries(
                query_inputs(), model.embed_history(tf.nest.map_structure(tf.constant, CATALOGUE))
            )
            score = tf.reduce_sum(queries[0])
        gradient = tf.convert_to_tensor(tape.gradient(score, weights)).numpy()
        assert ((gradient != 0).any(axis=1) == np.isin(np.arange(NUM_CANDIDATES), [0, 1])).all()
        assert np.isfinite(model.compute_loss({"query": query_inputs(), "targets": targets}))


def test_under_the_sampled_softmax_a_history_is_read_from_a_table_without_gradient():
    model = make("sampled_softmax")
    assert model.history_table.shape == [NUM_CANDIDATES, DIM] and not model.history_table.trainable
    model.history_table.assign(tf.ones([NUM_CANDIDATES, DIM]))
    inputs = interactions([0, 4, 6, -1], [1, 0, 2, 1])
    before = float(model.compute_loss(inputs))
    model.history_table.assign(-tf.ones([NUM_CANDIDATES, DIM]))
    assert float(model.compute_loss(inputs)) != pytest.approx(before)
    assert make("sampled_softmax", history=False).history_table is None
    assert make("full_softmax").history_table is None


def test_a_pipeline_and_an_optimizer_of_one_s_own():
    """What the README promises: plain compile and fit, from raw strings on."""
    model = make("sampled_softmax", history=False)
    log = {"query": np.repeat(QUERY_IDS, 4), "candidate": np.tile([CANDIDATE_IDS[i] for i in (0, 1, 3, 5)], 5)}

    def prepare(rows):
        different, places = tf.unique(rows["candidate"])
        candidate = model.candidate_tower.preprocess(
            {"id": different, "look": tf.gather(LOOKS, different_rows(different))}
        )
        return {
            "query": model.query_tower.preprocess({"id": rows["query"]}),
            "candidate": candidate,
            "candidate_rows": candidate["id"]["row"],
            "positive": places,
        }

    def different_rows(ids):
        return model.candidate_tower.encoders["id"].preprocess(ids)["row"]

    batches = tf.data.Dataset.from_tensor_slices(log).shuffle(20, seed=0).batch(8).map(prepare)
    model.compile(optimizer="adam")
    losses = model.fit(batches, epochs=20, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert np.isfinite(model.evaluate(batches, return_dict=True, verbose=0)["loss"])


def test_the_catalogue_is_asked_for():
    model = make()
    model._catalogue = ()
    with pytest.raises(UsageError, match="full_softmax reads candidates in the catalogue: call set_catalogue before"):
        model.compute_loss(interactions([0, 4, 6, -1], [1, 0, 2, 1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "warp"}, "loss must be one of sampled_softmax, full_softmax, multinomial, bpr, hinge, got 'warp'"),
        ({"temperature": 0.0}, "temperature must be positive, got 0.0"),
        ({"temperature": float("nan")}, "temperature must be positive, got nan"),
        ({"content_weight": -0.1}, "content_weight must be 0 or more, got -0.1"),
        ({"candidate_counts": None}, "full_softmax needs candidate_counts"),
        (
            {"loss": "sampled_softmax", "candidate_counts": COUNTS},
            "takes candidate_counts and global_batch_size together",
        ),
        ({"loss": "sampled_softmax", "global_batch_size": 4}, "takes candidate_counts and global_batch_size together"),
        ({"loss": "sampled_softmax", "pooling": True}, "a history tower needs a loss that embeds the whole catalogue"),
        ({"loss": "bpr", "pooling": True}, "under bpr leave it out"),
        ({"negatives": "mixed"}, "full_softmax counts every candidate"),
        ({"loss": "bpr", "history": False, "mask_known_positives": True}, "reads the query's history"),
        ({"loss": "sampled_softmax", "negatives": "popularity"}, "seen in train: give candidate_counts"),
    ],
)
def test_what_contradicts_itself_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        make(**options)


def test_towers_of_different_sizes_are_refused():
    model = TwoTower(
        Tower({"id": IdentifierEncoder(QUERY_IDS, DIM, name="id")}, EarlyFusion(3)),
        Tower({"id": IdentifierEncoder(CANDIDATE_IDS, DIM, name="id")}, EarlyFusion(4)),
        num_candidates=NUM_CANDIDATES,
        candidate_counts=COUNTS,
    )
    with pytest.raises(UsageError, match=r"vectors of one size, got 3 \(query\) and 4 \(candidate\)"):
        model.build_towers()
