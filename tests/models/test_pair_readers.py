import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.reusable import NUM_BUCKETS, text_table, write_text_model
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.encoders.text_tokens import CharacterTokens, WordTable
from tfmmrec.models.pair_readers import StringReader, WordReader

QUERY = np.array([[1, 0, 3], [2, 2, 0], [0, 0, 0], [0, 0, 0]], np.float32)
CANDIDATE = np.array([[3, 4], [0, 1], [5, 0], [0, 0]], np.float32)


def word_reader(num_layers=1, **options):
    tf.keras.utils.set_random_seed(1)
    table = WordTable(["a", "b", "c", "d", "e"], 4, name="words")
    reader = WordReader(table, 3, 2, num_layers, 2, name="scorer", **options)
    reader([tf.zeros([1, 3]), tf.zeros([1, 2])])
    for number, variable in enumerate(reader.trainable_variables):
        variable.assign_add(tf.random.stateless_normal(variable.shape, [number, 2], stddev=0.5))
    return reader


def normalised(x, layer):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * layer.gamma.numpy() + layer.beta.numpy()


@pytest.mark.parametrize("num_layers", [0, 1, 2])
def test_the_score_is_the_head_s_over_both_sides_and_their_product(num_layers):
    reader = word_reader(num_layers)
    words, places, segments = (v.numpy() for v in (reader.table.embeddings, reader.places, reader.segments))
    expected = []
    for query, candidate in zip(QUERY, CANDIDATE, strict=True):
        # padding is left out here, where the layer masks it
        of_query, of_candidate = np.flatnonzero(query), np.flatnonzero(candidate)
        x = np.concatenate(
            [
                words[query[of_query].astype(int) - 1] + places[of_query] + segments[0],
                [reader.separator.numpy() + places[3] + segments[0]],
                words[candidate[of_candidate].astype(int) - 1] + places[4 + of_candidate] + segments[1],
            ]
        )
        x = normalised(x, reader.before)[None]
        for block in reader.blocks:
            x = block(x, x, np.ones([1, 1, x.shape[1]], bool)).numpy()
        x = normalised(x[0], reader.after)
        end = len(of_query)
        means = [part.mean(axis=0) if len(part) else np.zeros(4) for part in (x[:end], x[end + 1 :])]
        read = np.concatenate([x[end], *means, means[0] * means[1]])
        last = reader.network.output_layer
        expected.append(read @ last.kernel.numpy()[:, 0] + last.bias.numpy()[0])
    found = reader([tf.constant(QUERY), tf.constant(CANDIDATE)])
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_one_side_s_tokens_see_the_other_s():
    reader = word_reader()
    seen = reader.blocks[0]
    assert isinstance(seen, tf.keras.layers.Layer)
    scores = {
        (q, c): float(reader([tf.constant([[q, 0.0, 0.0]]), tf.constant([[c, 0.0]])])[0])
        for q in (1.0, 2.0)
        for c in (3.0, 4.0)
    }
    # not a part of the query plus a part of the candidate
    assert abs(scores[1, 3] - scores[1, 4] - scores[2, 3] + scores[2, 4]) > 1e-3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_reads_the_same_words(policy):
    expected = word_reader()([tf.constant(QUERY), tf.constant(CANDIDATE)])
    tf.keras.mixed_precision.set_global_policy(policy)
    try:
        found = word_reader()([tf.constant(QUERY), tf.constant(CANDIDATE)])
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_a_reader_comes_back_from_its_config():
    reader = word_reader(2, dropout=0.25, hidden_dims=(7,), use_bias=False)
    assert WordReader.from_config(reader.get_config()).get_config() == reader.get_config()


def characters(texts, length=12):
    encoder = CharacterTokens(length)
    return encoder(encoder.preprocess(tf.constant(texts)))["vector"]


@pytest.fixture
def string_reader(tmp_path):
    encoder = SavedModelEncoder(write_text_model(tmp_path / "text"), "text", mode="finetuned", name="encoder")
    return StringReader(encoder, name="scorer")


def test_the_encoder_reads_both_texts_in_one_string(string_reader):
    query, candidate = characters(["red hat", "", "", "Hüte 😀"]), characters(["blue hat", "shoe", "", "日本"])
    texts = [text.decode() for text in string_reader.texts(query, candidate).numpy()]
    assert texts == ["blue hat. [SEP] red hat.", "shoe. [SEP]", "[SEP]", "日本. [SEP] Hüte 😀."]
    found = string_reader([query, candidate])
    buckets = tf.strings.to_hash_bucket_fast(texts, NUM_BUCKETS).numpy()
    last = string_reader.network.output_layer
    np.testing.assert_allclose(found, (text_table(4)[buckets] @ last.kernel.numpy())[:, 0], rtol=1e-5)


def test_an_encoder_that_cuts_long_texts_reads_the_candidate_all_the_same(tmp_path):
    encoder = SavedModelEncoder(write_text_model(tmp_path / "text", max_characters=40), "text", mode="frozen")
    reader = StringReader(encoder, name="scorer")
    history = characters(["a history of many words. " * 20], 500)
    scores = {float(reader([history, characters([f"hat {number}"])])[0]) for number in range(8)}
    assert len(scores) > 1


def test_the_encoder_learns(string_reader):
    query, candidate = characters(["red hat"]), characters(["blue hat"])
    string_reader([query, candidate])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(string_reader([query, candidate], training=True))
    gradients = tape.gradient(loss, string_reader.trainable_variables)
    assert len(gradients) == 3 and all(gradient is not None for gradient in gradients)


def test_a_reader_of_strings_comes_back_from_its_config(string_reader):
    assert StringReader.from_config(string_reader.get_config()).get_config() == string_reader.get_config()
