import numpy as np
import pytest
import tensorflow as tf

from tests.choices import choices
from tfmmrec.data.accumulated_batches import AccumulatedBatches
from tfmmrec.data.batches import InteractionBatches
from tfmmrec.types import UsageError


def stream(batch_size=20):
    return InteractionBatches(choices().train, {}, {}, batch_size, history_length=3)


def test_groups_hold_the_stream_s_batches_in_their_order():
    single, grouped = stream(), AccumulatedBatches(stream(), 4)
    assert single.steps_per_epoch == 48 * 8 // 20 == 19
    assert (grouped.steps_per_epoch, grouped.batch_size) == (4, 80)
    for update, group in enumerate(grouped.dataset(2).take(6)):
        assert isinstance(group, tuple) and len(group) == 4
        for place, batch in enumerate(group):
            expected = single.batch((2 + update) * 4 + place)
            assert batch["positive"].shape == [20]  # static
            tf.nest.map_structure(np.testing.assert_array_equal, batch, expected)


def test_what_fills_no_group_opens_the_next_epoch():
    """19 batches of a pass are four groups of four; no row is left out, and none comes again before all have come."""
    grouped, seen = AccumulatedBatches(stream(), 4), []
    for epoch in range(2):
        for step in range(grouped.steps_per_epoch):
            seen += [(epoch, batch) for batch in grouped.batch(epoch * grouped.steps_per_epoch + step)]
    assert len(seen) == 32
    first_pass = np.concatenate([batch["query_rows"] for _, batch in seen[:19]])
    assert {epoch for epoch, _ in seen[16:19]} == {1}
    assert np.bincount(first_pass).max() <= 8 and first_pass.size == 380


@pytest.mark.parametrize("steps", [0, 20])
def test_groups_that_cannot_be(steps):
    with pytest.raises(UsageError, match=f"in a pass, which is 19 .*, got {steps}; lower it or batch_size=20"):
        AccumulatedBatches(stream(), steps)
