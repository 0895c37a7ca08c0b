from unittest.mock import Mock

from tests.callbacks.test_refresh_history import Counted
from tests.conformance.models import SAMPLED, ModelCase, ready
from tfmmrec.callbacks import ProgressByEpoch, RefreshByEpoch, RefreshHistory

IDS = ModelCase("ids", "two_tower", {**SAMPLED, "content": False, "query_features": False})


def test_hooks_of_epochs_alone_do_what_those_of_steps_do():
    made, embedder, bar = ready(IDS), Counted(), Mock()
    callbacks = [RefreshByEpoch(RefreshHistory(embedder)), ProgressByEpoch(bar, 3)]
    assert not any(callback._implements_train_batch_hooks() for callback in callbacks)
    made.model.fit(made.stream.dataset(), epochs=2, steps_per_epoch=3, callbacks=callbacks, verbose=0)
    assert embedder.calls == 3  # before the first step, and after both epochs
    assert (made.model.history_table.numpy() == 3.0).all()
    assert [call.args[0] for call in bar.advance.call_args_list] == [3, 3]
    assert bar.on_train_begin.call_count == bar.on_train_end.call_count == 1
    assert [call.args[0] for call in bar.on_epoch_end.call_args_list] == [0, 1]
