"""What a two-tower model's step hands to tasks that share its towers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.small_two_tower import CATALOGUE, COUNTS, NUM_CANDIDATES, interactions, make, query_inputs

ROWS, POSITIVE = [0, 4, 6, -1], [1, 0, 2, 1]
LOSSES = {
    "full_softmax": {},
    "sampled_softmax": {"candidate_counts": COUNTS, "global_batch_size": 4},
    "bpr": {},
    "hinge": {"negatives": "uniform", "num_negatives": 5, "candidate_counts": COUNTS},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_vectors_are_those_of_the_rows_and_the_losses_what_the_model_takes_the_mean_of(loss):
    model, inputs = make(loss, **LOSSES[loss]), interactions(ROWS, POSITIVE)
    candidates = model.step_candidates(inputs, training=False)
    done = model.retrieval(inputs, candidates, training=False)
    catalogue = tf.nest.map_structure(tf.constant, CATALOGUE)
    vectors = model.embed_candidates(catalogue).numpy()
    np.testing.assert_allclose(done.own, vectors[[4, 0, 6, 4]], rtol=1e-5)
    pooled = model.embed_history(catalogue) if model.history_table is None else model.history_table
    np.testing.assert_allclose(done.query, model.embed_queries(query_inputs(), pooled), rtol=1e-5)
    weight = inputs["weight"].numpy()
    mean = (done.losses.numpy() * weight).sum() / weight.sum()
    assert float(model.retrieval_share(inputs, done.losses)) == pytest.approx(mean, rel=1e-6)
    assert float(model.compute_loss(inputs)) == pytest.approx(mean, rel=1e-6)


def test_a_step_embeds_all_candidates_its_batch_s_or_those_and_what_it_draws():
    inputs = interactions(ROWS, POSITIVE)
    found = {loss: make(loss, **LOSSES[loss]).step_candidates(inputs, training=False) for loss in LOSSES}
    assert found["full_softmax"].rows is None
    assert found["full_softmax"].embedded["id"]["vector"].shape[0] == NUM_CANDIDATES
    np.testing.assert_array_equal(found["bpr"].rows, ROWS)
    assert found["bpr"].log_expected is None and found["bpr"].embedded["look"]["vector"].shape[0] == len(ROWS)
    drawn = found["hinge"].rows[len(ROWS) :]
    assert len(drawn) == 5 and (COUNTS[drawn.numpy()] > 0).all()
    np.testing.assert_array_equal(found["hinge"].features["id"]["row"], np.maximum(found["hinge"].rows, 0))


def test_rows_with_several_targets_have_no_candidate_of_their_own():
    model = make("multinomial")
    inputs = {"query": query_inputs(), "targets": tf.ones([4, NUM_CANDIDATES], tf.uint8)}
    assert model.retrieval(inputs, model.step_candidates(inputs, False), False).own is None
