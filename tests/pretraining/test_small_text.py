import numpy as np
import tensorflow as tf

from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretraining.small_text import PADDING, UNKNOWN, small_text_halves, words_of_texts


def test_the_words_of_a_catalogue():
    texts = ["Red dress", "red RED coat, warm", None, "", "dress-coat!", "one"]
    assert words_of_texts(texts) == (["coat", "dress", "red"], 4)
    assert words_of_texts(texts, most=1)[0] == ["coat"] and words_of_texts(texts, least=1)[0][3:] == ["one", "warm"]
    assert words_of_texts([*texts, "dress"])[0][0] == "dress"
    assert words_of_texts([None]) == ([], 1)
    assert words_of_texts(["word " * 1000])[1] == 128


def test_it_reads_texts_as_an_exported_encoder_does(tmp_path):
    card = write_halves(small_text_halves(["red", "dress", "coat"], 5, dim=8, num_layers=2, num_heads=2), tmp_path)
    model = tf.saved_model.load(str(tmp_path))
    texts = tf.constant(["Red dress", "strange coat", "", "red " * 9, b"\xff"])
    tensors = model.preprocess(texts)
    assert tensors["token_ids"].numpy().tolist()[:3] == [
        [3, 4, PADDING, PADDING, PADDING],
        [UNKNOWN, 5, PADDING, PADDING, PADDING],
        [PADDING] * 5,
    ]
    assert tensors["padding_mask"].numpy().sum(axis=1).tolist() == [2, 2, 0, 5, 0]
    vectors = model(texts).numpy()
    sequence, mask = model.encode_sequence(tensors)
    np.testing.assert_allclose(vectors[0], sequence.numpy()[0, :2].mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model(texts[:1]).numpy(), vectors[:1], rtol=1e-4, atol=1e-6)
    assert not vectors[2].any() and np.abs(vectors[0] - vectors[1]).max() > 0.1
    assert card["dim"] == 8 and card["num_layers"] == 4 == len(model.layers)
    assert card["tokens"] == {"vocabulary_size": 6, "mask": 2, "special": [0, 1]}


def test_what_stands_behind_padding_changes_nothing():
    halves = small_text_halves(["red", "dress"], 3, dim=8, num_heads=2)
    tensors = halves.preprocess(tf.constant(["red"]))
    other = tensors | {"token_ids": tf.constant([[3, 4, 4]])}
    np.testing.assert_allclose(halves.encode(tensors), halves.encode(other), rtol=1e-5, atol=1e-6)


def test_the_seed_says_the_weights():
    def weights(seed):
        return [weight.numpy() for weight in small_text_halves(["red"], 3, dim=8, seed=seed).variables]

    first, again, other = weights(1), weights(1), weights(2)
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert any((one != two).any() for one, two in zip(first, other, strict=True))
