import numpy as np
import pytest

from tests.conformance.models import NUM_CANDIDATES, SAMPLED, ModelCase, named, ready
from tfmmrec.callbacks import RefreshHistory
from tfmmrec.types import UsageError

IDS = ModelCase("ids", "two_tower", {**SAMPLED, "content": False, "query_features": False})


@pytest.fixture
def made():
    return ready(IDS)


def fit(made, steps, *callbacks):
    made.model.fit(made.stream.dataset(), epochs=1, steps_per_epoch=steps, callbacks=list(callbacks), verbose=0)


class Counted:
    """Embeds all candidates, as numbers that tell how often it was asked."""

    calls = 0

    def candidates(self):
        self.calls += 1
        return np.full((NUM_CANDIDATES, 8), self.calls, np.float32)


@pytest.mark.parametrize(("every", "steps", "calls"), [(1, 3, 4), (2, 3, 2), (2, 4, 3), (9, 4, 1)])
def test_the_table_is_filled_before_the_first_step_and_every_so_many(made, every, steps, calls):
    embedder = Counted()
    fit(made, steps, RefreshHistory(embedder, every))
    assert embedder.calls == calls
    np.testing.assert_array_equal(made.model.history_table, np.full((NUM_CANDIDATES, 8), calls))


def test_it_holds_the_candidates_vectors(made):
    fit(made, 2, RefreshHistory(made.embedder, 2))
    np.testing.assert_allclose(made.model.history_table, made.embedder.candidates(), rtol=1e-5, atol=1e-6)
    assert np.abs(made.model.history_table).max() > 0


def test_a_fit_that_goes_on_keeps_the_table_it_has(made):
    """Or a resumed training would see another table than one that was not stopped."""
    fit(made, 3, RefreshHistory(made.embedder, 2))
    table = made.model.history_table.numpy()
    embedder = Counted()
    callback = RefreshHistory(embedder, 2)
    callback.set_model(made.model)
    callback.on_train_begin()
    np.testing.assert_array_equal(made.model.history_table, table)
    callback.on_train_batch_end(0)  # after step 3
    assert embedder.calls == 0


def test_on_several_replicas(replicas):
    made = ready(IDS, strategy=replicas(2))
    fit(made, 2, RefreshHistory(made.embedder, 2))
    np.testing.assert_allclose(made.model.history_table, made.embedder.candidates(), rtol=1e-5, atol=1e-6)


def test_a_model_without_a_table_is_left_alone():
    made = ready(named("id_only"))
    embedder = Counted()
    fit(made, 1, RefreshHistory(embedder, 1))
    assert embedder.calls == 0


def test_never_is_no_interval():
    with pytest.raises(UsageError, match="every_steps must be at least 1, got 0"):
        RefreshHistory(None, 0)
