import math
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.reusable import write_text_halves
from tfmmrec.pretrained.encoder_card import read_card, write_card
from tfmmrec.pretraining import PretrainingOptions
from tfmmrec.pretraining.masked_token import MaskedToken
from tfmmrec.pretraining.small_text import MASK, PADDING, UNKNOWN
from tfmmrec.pretraining.trainable_encoder import TrainableEncoder
from tfmmrec.types import DataError

TEXTS = ["red purple yellow", "strange Lund", "rose", "strange"]
NUM_TOKENS = 3 + 16  # padding, unknown, hidden, and the words


def objective(folder, **options):
    return MaskedToken({"text": TrainableEncoder(folder)}, PretrainingOptions(**options))


def test_tokens_are_hidden_as_bert_hides_them(small_text):
    goal = objective(small_text, mask_share=0.15)
    tokens = np.random.default_rng(0).integers(3, NUM_TOKENS, (4000, 50)).astype(np.int32)
    may_be = np.ones_like(tokens, bool)
    may_be[:, :10] = False
    chosen, shown = (t.numpy() for t in goal.hide(tf.constant(tokens), tf.constant(may_be), tf.constant([1, 2])))
    assert not chosen[:, :10].any() and chosen.any(axis=1).all()
    # of 40 tokens none is drawn with a chance of .85^40 = .0015, and then one is taken
    assert chosen[:, 10:].mean() == pytest.approx(0.15, abs=0.003)
    np.testing.assert_array_equal(shown[~chosen], tokens[~chosen])
    of_chosen = shown[chosen]
    assert (of_chosen == MASK).mean() == pytest.approx(0.8 + 0.1 / NUM_TOKENS, abs=0.01)
    # one in ten stays, and one of 19 random ones is the same
    assert (of_chosen == tokens[chosen]).mean() == pytest.approx(0.1 + 0.1 / NUM_TOKENS, abs=0.01)
    assert set(range(NUM_TOKENS)) == set(of_chosen.tolist())
    again, _ = goal.hide(tf.constant(tokens), tf.constant(may_be), tf.constant([1, 2]))
    other, _ = goal.hide(tf.constant(tokens), tf.constant(may_be), tf.constant([1, 3]))
    assert (again.numpy() == chosen).all() and (other.numpy() != chosen).any()


def test_a_text_has_one_hidden_at_least(small_text):
    chosen, _ = objective(small_text, mask_share=1e-6).hide(
        tf.constant([[4, 5, 6], [7, 8, 9]]), tf.constant([[True] * 3, [False, False, True]]), tf.constant([1, 2])
    )
    assert chosen.numpy().sum(axis=1).tolist() == [1, 1] and chosen.numpy()[1, 2]


def test_texts_of_unknown_words_are_not_usable(small_text):
    tensors = objective(small_text).preprocess("text", tf.constant([*TEXTS, ""]))
    assert tensors["usable"].numpy().tolist() == [True, True, True, False, False]
    assert tensors["token_ids"].numpy()[1].tolist() == [UNKNOWN, NUM_TOKENS - 1, *[PADDING] * 4]


def test_the_loss_is_that_of_bert_s_head(small_text):
    goal = objective(small_text)
    tensors = {name: t for name, t in goal.preprocess("text", tf.constant(TEXTS[:3])).items() if name != "usable"}
    seed = tf.constant([5, 6])
    chosen, shown = goal.hide(tensors["token_ids"], tensors["token_ids"] > UNKNOWN, seed)
    vectors = goal.encoders["text"].encode_sequence(tensors | {"token_ids": shown})[0].numpy()[chosen.numpy()]
    kernel, bias = (weight.numpy() for weight in goal.hidden.weights)
    x = vectors @ kernel + bias
    x = 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
    logits = x @ goal.table.numpy().T
    labels = tensors["token_ids"].numpy()[chosen.numpy()]
    expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
    loss, found = goal.loss({"text": tensors | {"group": tf.zeros([3], tf.int32)}}, seed)
    assert float(loss) == pytest.approx(expected.mean(), rel=1e-3)
    assert float(found) == pytest.approx((logits.argmax(1) == labels).mean())
    assert goal.table is goal.encoders["text"].module.variables[0], "the encoder's own embeddings"
    assert goal.chance(9) == pytest.approx(np.log(NUM_TOKENS))


def test_an_encoder_that_says_nothing_of_its_tokens_is_refused(small_text, tmp_path):
    card = read_card(small_text)
    shutil.copytree(small_text, tmp_path / "no mask")
    write_card(tmp_path / "no mask", {key: value for key, value in card.items() if key != "tokens"})
    with pytest.raises(DataError, match="no token that stands for a hidden one. Export a checkpoint that has both"):
        objective(tmp_path / "no mask")
    write_text_halves(tmp_path / "no sequence")
    write_card(tmp_path / "no sequence", card)
    with pytest.raises(DataError, match="cannot learn from masked tokens: it has no vectors of tokens"):
        objective(tmp_path / "no sequence")
