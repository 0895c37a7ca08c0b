import numpy as np
import pytest

from tests.conformance.models import NUM_CANDIDATES, statistics
from tfmmrec.models.loss_choice import FULL_SOFTMAX_LIMIT, choose_loss, loss_arguments


@pytest.mark.parametrize(
    ("loss", "num_candidates", "expected"),
    [
        ("auto", FULL_SOFTMAX_LIMIT, "multinomial"),
        ("auto", FULL_SOFTMAX_LIMIT + 1, "sampled_softmax"),
        ("bpr", 1, "bpr"),
        ("full_softmax", FULL_SOFTMAX_LIMIT + 1, "full_softmax"),
    ],
)
def test_auto_goes_by_the_size_of_the_catalogue(loss, num_candidates, expected):
    assert choose_loss(loss, num_candidates) == expected


@pytest.mark.parametrize(
    ("loss", "options", "counted", "batch"),
    [
        ("multinomial", {"global_batch_size": 16}, True, None),
        ("bpr", {"negatives": "uniform", "count_frequencies": False}, True, None),
        ("sampled_softmax", {}, False, None),
        ("sampled_softmax", {"global_batch_size": 16}, True, 16),
        ("sampled_softmax", {"global_batch_size": 16, "count_frequencies": False}, False, None),
        ("sampled_softmax", {"negatives": "uniform"}, True, None),
        ("sampled_softmax", {"negatives": "mixed", "global_batch_size": 16, "count_frequencies": False}, True, None),
    ],
)
def test_frequencies_are_counted_where_they_can_be(loss, options, counted, batch):
    found = loss_arguments(loss, statistics(), **options)
    assert (found["loss"], found["num_candidates"]) == (loss, NUM_CANDIDATES)
    assert found["negatives"] == options.get("negatives", "in_batch") and found["global_batch_size"] == batch
    assert (found["candidate_counts"] is not None) == counted
    if counted:
        np.testing.assert_array_equal(found["candidate_counts"], statistics().candidate_counts)
