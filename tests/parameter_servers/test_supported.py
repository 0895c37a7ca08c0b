import pytest
import tensorflow as tf

from tests.conformance.models import SAMPLED, ModelCase
from tfmmrec.parameter_servers import check_supported
from tfmmrec.parameter_servers.supported import check_settings
from tfmmrec.training_options import TrainingOptions
from tfmmrec.types import UsageError


def model(name="two_tower", **settings):
    return ModelCase(name, name, SAMPLED | settings if name == "two_tower" else settings).build()


@pytest.mark.parametrize("settings", [{}, {"negatives": "mixed"}, {"negatives": "popularity"}, {"loss": "bpr"}])
def test_what_can_be_trained(settings):
    check_supported("two_tower", model(**settings), TrainingOptions(), [tf.keras.callbacks.CSVLogger("unused.csv")])


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("lightgcn", {}, "cannot train this: lightgcn is no model for it: take two_tower"),
        ("linear_blend", {}, "linear_blend is no model for it"),
        ("two_tower", {"loss": "multinomial"}, "the loss multinomial embeds all candidates in every step"),
        ("two_tower", {"loss": "full_softmax"}, "the loss full_softmax embeds all candidates in every step"),
        ("two_tower", {"negatives": "mined"}, "set negatives=mixed"),
        ("two_tower", {"fusion": "graph"}, "fusion=graph and the like read the whole catalogue"),
        ("two_tower", {"fusion": "graph", "negatives": "mixed"}, "fusion=graph and the like read the whole catalogue"),
        ("two_tower", {"alignment": ["contrastive"]}, "leave alignment out"),
        ("two_tower", {"identifier": "hashed"}, "set identifier=table"),
        ("two_tower", {"identifier": "tpu_embedding"}, "TPUEmbedding's tables have no parts: set identifier=table"),
        ("two_tower", {"count_frequencies": False}, "set count_frequencies=true"),
    ],
)
def test_models_that_cannot(name, settings, told):
    with pytest.raises(UsageError, match=told):
        check_supported(name, model(name, **settings), TrainingOptions())


def test_a_gru_needs_its_matrices_whole():
    gru = model(history_encoder="gru")
    largest = 4 * max(weight.shape.num_elements() for weight in gru.query_tower.encoders["history"].weights)
    check_supported("two_tower", gru, TrainingOptions(shard_bytes=largest))
    with pytest.raises(UsageError, match=f"its largest has {largest} bytes: set shard_bytes={largest} or more"):
        check_supported("two_tower", gru, TrainingOptions(shard_bytes=largest - 1))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"accumulate_steps": 2}, "accumulate_steps has no use"),
        ({"mixed_precision": "float16"}, "set mixed_precision=none"),
        ({"mixed_precision": "bfloat16"}, "set mixed_precision=none"),
        ({"deterministic": True}, "leave deterministic out"),
        ({"tensorboard": True}, "leave tensorboard out"),
        ({"refresh_steps": 50}, "set steps_per_epoch in refresh_steps' place"),
    ],
)
def test_options_that_cannot(options, told):
    with pytest.raises(UsageError, match=f"cannot train this: .*{told}"):
        check_supported("two_tower", model(), TrainingOptions(**options))


def test_all_that_is_wrong_is_told_at_once():
    class OfBatches(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    with pytest.raises(UsageError) as caught:
        check_supported("two_tower", model(loss="multinomial"), TrainingOptions(accumulate_steps=2), [OfBatches()])
    for told in ("multinomial", "accumulate_steps", "OfBatches has hooks of batches"):
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "loss", "told"),
    [
        ("lightgcn", {}, "multinomial", "lightgcn is no model for it: take two_tower, id_only, content_only, history_"),
        ("id_only", {}, "multinomial", "the loss multinomial embeds all candidates in every step"),
        ("id_only", {"deterministic": True}, "hinge", "leave deterministic out"),
    ],
)
def test_what_settings_alone_tell(name, options, loss, told):
    with pytest.raises(UsageError, match=told):
        check_settings(name, TrainingOptions(**options), loss)
    check_settings("id_only", TrainingOptions(), "auto")
    check_settings("id_only", TrainingOptions())
