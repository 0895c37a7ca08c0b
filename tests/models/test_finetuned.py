"""A fit in which an encoder that is to be finetuned gets no gradient fails."""

import pytest
import tensorflow as tf

from tests.encoders.reusable import write_text_halves
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.models import Trainable
from tfmmrec.models.finetuned import check_finetuned
from tfmmrec.types import UsageError

TEXTS = ["red", "blue", "green"]


class OneText(Trainable):
    """A vector of a text and a weight of its own are to be zero."""

    def __init__(self, encoder, reads=True):
        super().__init__()
        self.encoder = encoder
        self.reads = reads
        self.weight = tf.Variable(1.0, name="weight")

    def compute_loss(self, inputs, training=False):
        vector = self.encoder(inputs, training=training)["vector"]
        return self.weight**2 + tf.reduce_sum((vector if self.reads else tf.stop_gradient(vector)) ** 2)


def fit(folder, mode="finetuned", reads=True, trainable=True, strategy=None):
    folder = folder / "m"
    with (strategy or tf.distribute.get_strategy()).scope():
        encoder = SavedModelEncoder(str(folder) if folder.exists() else write_text_halves(folder), "text", mode=mode)
        encoder.trainable = trainable
        model = OneText(encoder, reads)
        model.compile(optimizer=tf.keras.optimizers.SGD(0.1))
    model.fit(tf.data.Dataset.from_tensors(encoder.preprocess(tf.constant(TEXTS))), verbose=0)
    return model


@pytest.mark.parametrize("num_replicas", [None, 2])
def test_no_path_from_the_loss(tmp_path, replicas, num_replicas):
    write_text_halves(tmp_path / "m")
    strategy = replicas(num_replicas) if num_replicas else None
    with pytest.raises(UsageError, match="is to be finetuned, but no gradient reaches its weights .the loss does not"):
        fit(tmp_path, reads=False, strategy=strategy)
    fit(tmp_path, strategy=strategy)


def test_nothing_to_train(tmp_path):
    with pytest.raises(UsageError, match="no gradient reaches its weights .none of them is trainable"):
        fit(tmp_path, trainable=False)


@pytest.mark.parametrize("mode", ["frozen", "cached"])
def test_what_is_not_to_be_finetuned_needs_no_gradient(tmp_path, mode):
    fit(tmp_path, mode, reads=False)


def test_one_of_its_weights_is_enough(tmp_path):
    model = OneText(SavedModelEncoder(write_text_halves(tmp_path / "m"), "text", mode="finetuned"))
    own = model.encoder.trainable_variables
    check_finetuned(model, [model.weight, *own], [None, *(tf.ones(variable.shape) for variable in own)])
    with pytest.raises(UsageError, match="a model that reads it in every step"):
        check_finetuned(model, [model.weight, *own], [tf.ones([]), *(None for _ in own)])
