"""A fit moves what is to be trained of an encoder and nothing else, and fails where nothing of it can move."""

import pytest
import tensorflow as tf

from tests.conformance.encoders import ENCODERS
from tests.conformance.parts import by_name
from tfmmrec.encoders import VideoEncoder
from tfmmrec.encoders.image import ImageEncoder
from tfmmrec.fusion import EarlyFusion
from tfmmrec.models import Trainable
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError


class OneModality(Trainable):
    """The projected vectors of one modality are to be what they are not.

    Args:
        encoder: of the modality.
        reads: otherwise what it gives is taken for a constant.
    """

    def __init__(self, encoder, reads=True):
        super().__init__()
        self.tower = Tower({"look": encoder}, EarlyFusion(3, name="fusion"), name="candidate_tower")
        self.reads = reads

    def compute_loss(self, inputs, training=False):
        embedded = self.tower.encode(inputs, training=training)
        if not self.reads:
            embedded["look"]["vector"] = tf.stop_gradient(embedded["look"]["vector"])
        fused = self.tower.fusion({"look": embedded["look"]}, training=training)
        return self.share_of_mean(tf.reduce_sum((tf.cast(fused, tf.float32) - 1.0) ** 2, axis=1))


def fit(part, encoder, reads=True, steps=1):
    """Fits a model around an encoder; the encoder's weights that moved."""
    inputs = {"look": part.inputs(encoder, part.rows)}
    model = OneModality(encoder, reads)
    model.tower(inputs)  # creates the weights
    model.compile(optimizer=tf.keras.optimizers.Adam(0.05), run_eagerly=True)
    floating = [variable for variable in model.tower.variables if variable.dtype.is_floating]  # others count draws
    before = {variable.ref(): variable.numpy() for variable in floating}
    model.fit(tf.data.Dataset.from_tensors(inputs).repeat(steps), verbose=0)
    moved = {ref for ref, value in before.items() if (ref.deref().numpy() != value).any()}
    assert moved & {variable.ref() for variable in model.tower.fusion.variables}
    return {ref for ref in moved if ref in {variable.ref() for variable in encoder.variables}}


def names(refs):
    return sorted(ref.deref().name for ref in refs)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_all_that_is_to_be_trained_moves_and_nothing_else(part, folder):
    encoder = part.make(folder)
    moved = fit(part, encoder, steps=3)  # of some the first gradient is zero
    assert names(moved) == names(variable.ref() for variable in encoder.trainable_variables)
    if not part.frozen:  # nothing of it stays behind
        floating = [variable for variable in encoder.variables if variable.dtype.is_floating]
        assert names(moved) == names(variable.ref() for variable in floating)


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_nothing_of_a_frozen_encoder_moves(part, folder):
    encoder = part.make(folder)
    modes = ("frozen", "cached") if encoder.handle is not None else ("cached",) if hasattr(encoder, "mode") else (None,)
    for mode in modes:
        encoder = part.make(folder)
        if mode is not None:
            pooling = {"pooling": "mean"} if "pooling" in encoder.get_config() else {}  # others are to be trained
            encoder = type(encoder).from_config(encoder.get_config() | pooling | {"mode": mode})
        if encoder.handle is None:
            encoder.trainable = False  # as a training does with a network of ours that has been cached
        assert not fit(part, encoder) and not encoder.trainable_variables


@pytest.mark.parametrize("part", ENCODERS, ids=by_name)
def test_a_fit_that_does_not_train_what_it_should_names_the_feature(part, folder):
    encoder = part.make(folder)
    if getattr(encoder, "mode", None) != "finetuned":
        assert not fit(part, encoder, reads=False)
        return
    with pytest.raises(
        UsageError, match=r"the encoder of 'look' \(candidate_tower\) is to be finetuned, but no gradient"
    ):
        fit(part, encoder, reads=False)


def test_every_encoder_that_can_be_finetuned_is_held_to_this(folder):
    with_modes = [encoder for encoder in (part.make(folder) for part in ENCODERS) if hasattr(encoder, "mode")]
    assert {type(encoder) for encoder in with_modes if encoder.mode == "finetuned"} == set(map(type, with_modes))


class Blind(ImageEncoder):
    """Gives no gradient."""

    def call(self, inputs, training=None):
        embedded = super().call(inputs, training)
        return embedded | {"vector": tf.stop_gradient(embedded["vector"])}


def test_the_encoder_of_a_video_s_frames_is_not_silently_frozen_behind_what_pools_them():
    part = next(part for part in ENCODERS if part.name == "video, gru")
    frames = Blind(4, height=16, width=16, filters=(4, 6), mode="finetuned")
    encoder = VideoEncoder(4, 3, pooling="gru", mode="finetuned", frame_encoder=frames)
    with pytest.raises(UsageError, match=r"the encoder of 'look' \(candidate_tower, its part 'blind'\) is to be"):
        fit(part, encoder)


def test_what_pools_the_frames_of_a_blind_model_is_not_enough(folder):
    part = next(part for part in ENCODERS if part.name == "saved model of frames in two halves, finetuned, gru")
    encoder = part.make(folder)
    encoder._vectors = lambda tensors, training, see=encoder._vectors: tf.stop_gradient(see(tensors, training))
    with pytest.raises(
        UsageError, match=r"the encoder of 'look' \(candidate_tower\) is to be finetuned, but no gradient"
    ):
        fit(part, encoder)
