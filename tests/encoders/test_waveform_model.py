import numpy as np
import pytest
import tensorflow as tf

from tests.data.waves import tone
from tests.encoders.reusable import write_text_halves, write_text_model, write_waveform_model
from tfmmrec.encoders import WaveformModelEncoder
from tfmmrec.encoders.waveforms import decode_waveforms
from tfmmrec.types import DataError, UsageError

SOUNDS = [tone(440, seconds=2.0), b"", tone(300, 8_000, seconds=1.5, num_channels=2), tone(440, seconds=0.25)]


def expected_of(sounds, dim=3):
    """The mean loudness of half seconds times 1 .. dim; of at least one second."""
    rows = []
    for sound in sounds:
        waveforms, lengths = decode_waveforms(tf.constant([sound]), 32_000)
        heard = waveforms.numpy()[0, : max(int(lengths[0]), 16_000)] if sound else np.zeros(16_000)
        halves = heard[: len(heard) // 8000 * 8000].reshape(-1, 8000)
        rows.append(np.abs(halves).mean(axis=1).mean() * np.arange(1, dim + 1))
    return np.array(rows)


@pytest.mark.parametrize("as_tuple", [False, True])
@pytest.mark.parametrize("mode", ["frozen", "cached", "finetuned"])
def test_the_mean_of_the_frames_that_are_there(tmp_path, as_tuple, mode):
    encoder = WaveformModelEncoder(write_waveform_model(tmp_path / "m", as_tuple=as_tuple), seconds=2.0, mode=mode)
    inputs = encoder.preprocess(tf.constant(SOUNDS))
    assert inputs["samples"].shape == [4, 32_000] and inputs["samples"].dtype == tf.int16
    assert inputs["num_samples"].numpy().tolist() == [32_000, 0, 24_000, 4_000]
    found = encoder(inputs)
    assert found["present"].numpy().tolist() == [True, False, True, True]
    np.testing.assert_allclose(found["vector"], expected_of(SOUNDS), atol=1e-3)


def test_finetuning_reaches_its_weights(tmp_path):
    encoder = WaveformModelEncoder(write_waveform_model(tmp_path / "m"), mode="finetuned")
    inputs = encoder.preprocess(tf.constant(SOUNDS))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(inputs, training=True)["vector"])
    (gradient,) = tape.gradient(loss, encoder.trainable_variables)
    assert gradient.numpy().all()


def test_models_that_take_no_waveform_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a model of one waveform, float32 \[samples\] at 16 kHz"):
        WaveformModelEncoder(write_waveform_model(tmp_path / "batched", batched=True))
    with pytest.raises(DataError, match=r"expected a model of one waveform"):
        WaveformModelEncoder(write_text_model(tmp_path / "text"))
    with pytest.raises(DataError, match="reads texts, but is given a feature of kind audio"):
        WaveformModelEncoder(write_text_halves(tmp_path / "halves"))


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(UsageError, match="seconds must lie in 1 to 30 for a pretrained audio encoder, got 0.5"):
        WaveformModelEncoder(write_waveform_model(tmp_path / "m"), seconds=0.5)
