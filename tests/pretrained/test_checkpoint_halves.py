"""What a process with Keras 3 made of small random checkpoints, against what Keras says of them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.pretrained.inputs import TEXTS, pixels, png
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.pretrained import read_card
from tfmmrec.pretraining import PretrainingOptions
from tfmmrec.pretraining.masked_token import MaskedToken
from tfmmrec.pretraining.trainable_encoder import TrainableEncoder
from tfmmrec.types import DataError

pytestmark = pytest.mark.slow


def test_words_are_split_as_keras_splits_them(exported):
    tensors = exported.load("bert mean").preprocess(tf.constant(TEXTS))
    np.testing.assert_array_equal(tensors["token_ids"], exported.expected["bert ids"])
    np.testing.assert_array_equal(tensors["padding_mask"], exported.expected["bert mask"])


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_texts(exported, pooling):
    sequence, mask = exported.expected["bert sequence"], exported.expected["bert mask"]
    rows = [vectors[there] for vectors, there in zip(sequence, mask, strict=True)]
    expected = [{"mean": row.mean(0), "cls": row[0], "max": row.max(0)}[pooling] for row in rows]
    model = exported.load(f"bert {pooling}")
    np.testing.assert_allclose(model(tf.constant(TEXTS)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(tf.constant(TEXTS[:1])), expected[:1], rtol=1e-4, atol=1e-5)
    found, there = model.encode_sequence(model.preprocess(tf.constant(TEXTS)))
    np.testing.assert_array_equal(there, mask)
    np.testing.assert_allclose(found.numpy()[mask], sequence[mask], rtol=1e-4, atol=1e-5)
    card = read_card(exported.folder / f"bert {pooling}")
    assert (card["pooling"], card["max_length"], card["dim"], card["input_kind"]) == (pooling, 7, 8, "text")
    assert card["network"] == "BertBackbone" and card["licence"] is None and not card["untrained"]
    assert card["tokens"] == {"vocabulary_size": 12, "mask": 4, "special": [0, 2, 3]}
    assert {"tfmmrec", "tensorflow", "keras", "keras-hub"} <= set(card["versions"])


@pytest.mark.parametrize("name", ["bert mean", "albert"])
def test_hidden_tokens_teach_every_weight(exported, name):
    encoder = TrainableEncoder(exported.folder / name)
    goal = MaskedToken({"text": encoder}, PretrainingOptions())
    assert goal.table is next(v for v in encoder.trainable if "token_embedding" in v.name)
    tensors = goal.preprocess("text", tf.constant(TEXTS))
    assert tensors.pop("usable").numpy().tolist() == [bool(text) for text in TEXTS]
    inputs = {"text": {key: tf.gather(value, [0, 2, 3]) for key, value in tensors.items()}}
    with tf.GradientTape() as tape:
        loss, _ = goal.loss(inputs, tf.constant([1, 2]))
    weights = encoder.trainable
    reached = [gradient is not None for gradient in tape.gradient(loss, weights)]
    assert all(reached), [w.name for w, is_reached in zip(weights, reached, strict=True) if not is_reached]
    assert abs(float(loss) - goal.chance(3)) < 2


def test_half_of_a_pair_has_no_tokens_to_hide(exported):
    with pytest.raises(DataError, match="cannot learn from masked tokens: it has no vectors of tokens"):
        MaskedToken({"text": TrainableEncoder(exported.folder / "clip text")}, PretrainingOptions())


def test_random_weights_are_another_encoder(exported):
    trained, random = (read_card(exported.folder / f"bert {name}") for name in ("mean", "untrained"))
    assert random["untrained"] and random["fingerprint"] != trained["fingerprint"]
    assert read_card(exported.folder / "bert cls")["fingerprint"] == trained["fingerprint"]


@pytest.mark.parametrize("name", ["bert mean", "vit", "resnet", "clip text", "clip image"])
def test_finetuning_moves_every_weight_that_is_trained(exported, name):
    kind = read_card(exported.folder / name)["input_kind"]
    encoder = SavedModelEncoder(str(exported.folder / name), kind, mode="finetuned")
    raw = TEXTS if kind == "text" else [png(pixels(16)), png(pixels(24))]
    inputs = encoder.preprocess(tf.constant(raw))
    with tf.GradientTape() as tape:
        vector = encoder(inputs, training=True)["vector"]
        loss = tf.reduce_sum(vector * tf.random.stateless_normal(tf.shape(vector), [1, 2]))
    variables = encoder.trainable_variables
    assert len(variables) > 5
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, f"no gradient reaches {variable.name}"
    layers = encoder.layers
    assert len(layers) > 2 and {v.ref() for layer in layers for v in layer} == {v.ref() for v in variables}
    frozen = SavedModelEncoder(str(exported.folder / name), kind, mode="frozen")
    assert not frozen.trainable_variables and len(frozen.non_trainable_variables) >= len(variables)


def test_patches_of_pictures(exported):
    raw = tf.constant([png(pixels(16)), b"", png(pixels(30))])
    tokens = exported.expected["vit tokens"][0]  # [1 + 4, 8], the first of which stands for the whole
    for name, expected in (("vit", tokens[0]), ("vit mean", tokens.mean(0))):
        found = exported.load(name)(raw).numpy()
        np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
        assert found.shape == (3, 8) and np.isfinite(found).all()
    assert read_card(exported.folder / "vit")["pooling"] == "cls"
    assert exported.load("vit").preprocess(raw)["pixels"].dtype == tf.uint8


def test_patches_without_a_token_for_the_whole(exported):
    cells = exported.expected["swin cells"][0]  # [4 × 4, 4]
    found = exported.load("swin")(tf.constant([png(pixels(16))]))
    np.testing.assert_allclose(found[0], cells.mean(0), rtol=1e-4, atol=1e-5)
    assert read_card(exported.folder / "swin")["pooling"] == "mean"


def test_pieces_of_sentences_in_lower_case_and_without_accents(exported):
    def ids(name):
        return exported.load(name).preprocess(tf.constant(["CAFÉ", "CAFE", "cafe"]))["token_ids"].numpy()

    plain, kept = ids("albert"), ids("albert accents")
    np.testing.assert_array_equal(plain, np.stack([plain[2]] * 3))
    np.testing.assert_array_equal(kept[1:], plain[1:])
    assert (kept[0] != plain[0]).any() and (plain[0] > 0).sum() == 2 + 5, "a start, a space, four letters, an end"


def test_cells_of_pictures(exported):
    cells = exported.expected["resnet cells"][0]  # [height, width, channels]
    found = exported.load("resnet")(tf.constant([png(pixels(24))]))
    np.testing.assert_allclose(found[0], cells.mean((0, 1)), rtol=1e-4, atol=1e-5)
    card = read_card(exported.folder / "resnet max")
    assert (card["pooling"], card["image_size"]) == ("max", [32, 32])


def test_the_halves_of_a_pair_meet_in_one_space(exported):
    texts = exported.load("clip text")
    np.testing.assert_array_equal(
        texts.preprocess(tf.constant(TEXTS))["token_ids"][:, :12], exported.expected["clip ids"]
    )
    np.testing.assert_allclose(texts(tf.constant(TEXTS)), exported.expected["clip texts"], rtol=1e-4, atol=1e-5)
    found = exported.load("clip image")(tf.constant([png(pixels(16))]))
    np.testing.assert_allclose(found, exported.expected["clip pictures"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("beyond its positions", "UsageError: max_length must be at most 16 for"),
        ("an image size of texts", "it reads texts, so --image-size has no meaning"),
        ("a half of bert", "BertBackbone has no half of that kind; leave out --half"),
        ("no vocabulary", "its vocabulary is missing: `assets/tokenizer/vocabulary.txt` doesn't exist"),
        ("no weights", "its network is missing: `model.weights"),
        ("another size", "its weights do not fit the network that its config describes"),
        ("pictures of another size", "takes pictures of 16×16 pixels only; leave out image_size"),
        ("words of pictures", "it reads pictures, so --max-length has no meaning"),
        ("no image converter", "what says which pixels its weights expect is missing: `image_converter.json`"),
        ("a first token of cells", "has cells of a picture, and no first token; pooling is mean or max"),
        ("a first token of swin", "has cells of a picture, and no first token; pooling is mean or max"),
        ("both halves", "reads texts and pictures; choose one with --half text or --half image"),
        ("pooling of a pair", "its halves pool by themselves, so --pooling has no meaning"),
        ("unknown preset", "DataError: bert_tiny_en_uncaste: expected a KerasHub preset's name"),
        ("unknown preset", "found none; did you mean bert_tiny_en_uncased?"),
        ("no network", "bert_tiny_en_uncased: cannot be fetched, or not be read: no route to it; where there"),
    ],
)
def test_what_cannot_be_exported(exported, name, message):
    assert message in exported.refused[name]
