import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.reusable import NUM_BUCKETS, text_table, write_image_model, write_text_model
from tfmmrec import stored_encoding
from tfmmrec.data.feature_store import content_keys
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.stored_encoding import (
    BATCH,
    BatchEncode,
    add_missing,
    default_root,
    encoder_fingerprint,
    open_store,
    stored_table,
)
from tfmmrec.types import DataError

TEXTS = [f"text {number}" for number in range(150)] + ["", "text 3", "text 3"]


@pytest.fixture
def encoder(tmp_path):
    return SavedModelEncoder(write_text_model(tmp_path / "encoder"), "text", name="title")


def batches(texts, size=40):
    for start in range(0, len(texts), size):
        yield np.array(texts[start : start + size], object)


def expected_of(texts):
    rows = tf.strings.to_hash_bucket_fast(texts, NUM_BUCKETS).numpy()
    return np.where(np.array(texts)[:, None] == "", 0.0, text_table(4)[rows])


def counting(encoder, monkeypatch):
    """Notes how many contents are encoded, the padding aside."""
    seen, call = [], BatchEncode.__call__
    monkeypatch.setattr(
        BatchEncode, "__call__", lambda self, raw, width: (seen.extend(map(str, raw)), call(self, raw, width))[1]
    )
    return seen


def test_a_table_has_what_the_encoder_says(encoder, tmp_path):
    found = stored_table(encoder, batches(TEXTS), len(TEXTS), tmp_path / "store")
    np.testing.assert_array_equal(found["vector"], expected_of(TEXTS))
    assert found["present"].tolist() == [text != "" for text in TEXTS]


def test_each_content_is_encoded_once_and_never_again(encoder, tmp_path, monkeypatch):
    seen, told = counting(encoder, monkeypatch), []
    arguments = (encoder, tmp_path / "store")
    stored_table(encoder, batches(TEXTS), len(TEXTS), tmp_path / "store", progress=lambda *what: told.append(what))
    assert sorted(seen) == sorted(set(TEXTS))
    assert told == [(40, 153), (80, 153), (120, 153), (153, 153)]
    seen.clear()
    changed = [*TEXTS[:5], "another text 5", *TEXTS[6:], "a new one"]
    found = stored_table(encoder, batches(changed), len(changed), arguments[1])
    np.testing.assert_array_equal(found["vector"], expected_of(changed))
    assert seen == ["another text 5", "a new one"]


def test_a_vector_does_not_depend_on_what_is_encoded_with_it(tmp_path):
    """A part is the same byte for byte, in whatever batches the contents came."""
    random = np.random.default_rng(0)
    colours = [tf.io.encode_png(random.integers(0, 255, (4, 4, 3), np.uint8)).numpy() for _ in range(BATCH + 9)]
    encoder = SavedModelEncoder(write_image_model(tmp_path / "encoder"), "image", height=4, width=4)
    one = stored_table(encoder, batches(colours, 7), len(colours), tmp_path / "one")["vector"]
    other = stored_table(encoder, batches(colours[::-1], 50), len(colours), tmp_path / "other")["vector"]
    np.testing.assert_array_equal(one, other[::-1])


def write_trimming_model(folder):
    """A text's letters are its tokens; its vector says how many it has, and how many the longest of the batch has."""
    weight = tf.Variable(1.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def preprocess(texts):
        return {"padding_mask": tf.sequence_mask(tf.minimum(tf.strings.length(texts), 50), 50)}

    @tf.function(input_signature=[{"padding_mask": tf.TensorSpec([None, 50], tf.bool, name="padding_mask")}])
    def encode(tensors):
        own = tf.reduce_sum(tf.cast(tensors["padding_mask"], tf.float32), axis=1)
        return weight * tf.stack([own, tf.fill(tf.shape(own), tf.reduce_max(own))], axis=1)

    model = tf.train.Checkpoint(preprocess=preprocess, encode=encode)
    model.__call__ = tf.function(lambda texts: encode(preprocess(texts)), input_signature=preprocess.input_signature)
    model.variables = model.trainable_variables = [weight]
    model.regularization_losses = []
    tf.saved_model.save(model, str(folder))
    return str(folder)


@pytest.mark.parametrize("size", [7, 40, 150])
def test_a_text_s_vector_does_not_depend_on_how_long_others_are(tmp_path, size):
    encoder = SavedModelEncoder(write_trimming_model(tmp_path / "encoder"), "text", name="title")
    texts = ["x" * (number % 75 + 1) + str(number) for number in range(150)] + [""]
    found = stored_table(encoder, batches(texts, size), len(texts), tmp_path)["vector"]
    own = np.minimum([len(text) for text in texts], 50)
    widths = np.where(own <= 16, 16, np.where(own <= 32, 32, 50))  # the class of 64 has all 50 tokens of the encoder
    expected = np.stack([own, widths], axis=1)
    expected[-1] = 0  # an empty text is missing
    np.testing.assert_array_equal(found, expected)


def test_what_was_done_before_a_kill_stays(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_encoding, "ROWS_PER_PART", BATCH)
    store = open_store(encoder, tmp_path)

    def until_killed():
        yield from list(batches(TEXTS))[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_missing(store, BatchEncode(encoder), until_killed(), len(TEXTS))
    assert len(open_store(encoder, tmp_path)) == BATCH
    seen = counting(encoder, monkeypatch)
    stored_table(encoder, batches(TEXTS), len(TEXTS), tmp_path)
    assert len(seen) == len(set(TEXTS)) - BATCH


def test_a_content_that_comes_twice_at_once_is_encoded_once(encoder, tmp_path, monkeypatch):
    seen, store = counting(encoder, monkeypatch), open_store(encoder, tmp_path)
    add_missing(store, BatchEncode(encoder), [np.array([*TEXTS[:100], *TEXTS[:100]], object)], 200)
    assert seen == TEXTS[:100] and len(store) == 100


def test_half_precision(encoder, tmp_path):
    found = stored_table(encoder, batches(TEXTS), len(TEXTS), tmp_path, dtype="float16")["vector"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected_of(TEXTS).astype(np.float16).astype(np.float32))
    stored_table(encoder, batches(TEXTS), len(TEXTS), tmp_path)
    assert len(list(tmp_path.glob("*-float16"))) == len(list(tmp_path.glob("*-float32"))) == 1


def test_the_fingerprint_is_that_of_the_files_wherever_they_lie(encoder, tmp_path):
    same = SavedModelEncoder(shutil.copytree(encoder.handle, tmp_path / "copy"), "text")
    assert encoder_fingerprint(same) == encoder_fingerprint(encoder)
    other = SavedModelEncoder(write_text_model(tmp_path / "other", max_characters=3), "text")
    assert encoder_fingerprint(other) != encoder_fingerprint(encoder)
    photos = write_image_model(tmp_path / "photos")
    sizes = [SavedModelEncoder(photos, "image", height=height, width=4) for height in (4, 8)]
    assert encoder_fingerprint(sizes[0]) != encoder_fingerprint(sizes[1])


def test_files_that_cannot_be_read_are_no_fingerprint(encoder, monkeypatch, tmp_path):
    monkeypatch.setattr(stored_encoding.hub, "resolve", lambda handle: str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="expected the files of a SavedModel in .*elsewhere, found none; copy it"):
        encoder_fingerprint(encoder)


def test_vectors_are_whole_whatever_the_precision(tmp_path):
    handle = write_text_model(tmp_path / "encoder")
    half = SavedModelEncoder(handle, "text", dtype="mixed_float16")
    np.testing.assert_array_equal(
        stored_table(half, batches(TEXTS), len(TEXTS), tmp_path)["vector"], expected_of(TEXTS)
    )
    assert encoder_fingerprint(half) == encoder_fingerprint(SavedModelEncoder(handle, "text"))


def test_where_stores_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("TFMMREC_STORE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.setenv("TFMMREC_STORE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "tfmmrec" / "store"


def test_the_store_is_found_by_content(encoder, tmp_path):
    store = open_store(encoder, tmp_path)
    keys = add_missing(store, BatchEncode(encoder), batches(TEXTS), len(TEXTS))
    np.testing.assert_array_equal(keys, content_keys(TEXTS))
    assert store.folder.parent == tmp_path and len(store) == len(set(TEXTS))
