import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.reusable import write_text_model
from tests.pretrained.test_halves import TABLE, halves
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.pretrained.encoder_card import read_card, weights_fingerprint, write_card
from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretraining.trainable_encoder import TrainableEncoder
from tfmmrec.types import DataError


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def written(folder, name, made=None):
    (folder / name).mkdir()
    write_halves(made or halves(), folder / name)
    return folder / name


def test_it_is_written_again_with_its_weights_as_they_are(tmp_path):
    first = written(tmp_path, "first")
    encoder = TrainableEncoder(first)
    assert encoder.dim == 3 and encoder.has_sequence and encoder.layers == [encoder.trainable]
    raw = tf.constant(["abc", ""])
    (weight,) = encoder.trainable
    weight.assign(TABLE + 1)
    (tmp_path / "second").mkdir()
    card = encoder.write(tmp_path / "second", {"objective": "one"})
    loaded = tf.saved_model.load(str(tmp_path / "second"))
    expected = 2 * (TABLE[[3, 0]] + 1)
    np.testing.assert_allclose(loaded(raw), expected, rtol=1e-6)
    np.testing.assert_allclose(loaded.encode(loaded.preprocess(raw)), expected, rtol=1e-6)
    np.testing.assert_allclose(loaded.encode_sequence(loaded.preprocess(raw))[0][:, 0], expected / 2, rtol=1e-6)
    assert len(loaded.variables) == 2 and len(loaded.trainable_variables) == 1 and not loaded.regularization_losses
    before = read_card(first)
    changed = {"fingerprint", "pretraining", "untrained"}
    assert {key for key in card if card[key] != before.get(key)} == changed
    assert card["fingerprint"] == weights_fingerprint([TABLE + 1, np.float32(2)])
    assert read_card(tmp_path / "second") == {"format": "tfmmrec-encoder", **card}
    assert size(tmp_path / "second") < 1.2 * size(first) + 2000
    found = SavedModelEncoder(str(tmp_path / "second"), "text", mode="finetuned")
    np.testing.assert_allclose(found(found.preprocess(raw))["vector"], [expected[0], np.zeros(3)], rtol=1e-6)


def test_the_card_lists_every_pretraining(tmp_path):
    folder = written(tmp_path, "0")
    for number in range(1, 4):
        encoder, folder = TrainableEncoder(folder), tmp_path / str(number)
        folder.mkdir()
        encoder.write(folder, {"objective": f"number {number}"})
    assert [done["objective"] for done in read_card(folder)["pretraining"]] == ["number 1", "number 2", "number 3"]
    assert size(folder) < 1.2 * size(tmp_path / "1"), "it does not grow from one to the next"


def test_what_cannot_be_trained_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected an exported encoder with encoder.json, found none"):
        TrainableEncoder(tmp_path)
    made = halves()
    made.trainable = []
    with pytest.raises(DataError, match="can be trained, found no weights that may be trained"):
        TrainableEncoder(written(tmp_path, "frozen", made))
    write_text_model(tmp_path / "whole")
    write_card(tmp_path / "whole", {"input_kind": "text", "dim": 4})
    with pytest.raises(DataError, match="can be trained, found no preprocess; `tfmmrec encoder export SOURCE"):
        TrainableEncoder(tmp_path / "whole")
    folder = written(tmp_path, "broken")
    (folder / "saved_model.pb").unlink()
    with pytest.raises(DataError, match="broken: its SavedModel cannot be loaded"):
        TrainableEncoder(folder)
