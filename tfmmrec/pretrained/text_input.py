"""From texts to tensors of static shape, and from vectors of tokens to one."""

from __future__ import annotations

import tensorflow as tf

_CHARACTERS = [bytes([number]) for number in range(256)]


def pack_tokens(tokens: tf.RaggedTensor, start: int, end: int, pad: int, length: int) -> dict[str, tf.Tensor]:
    """Tokens of texts, cut, between a start and an end, and padded.

    Args:
        tokens: `[batch, (any)]`, int.
        start: the token before a text,
        end: the one after it,
        pad: and what fills up.
        length: of a row.

    Returns:
        `token_ids`, int32 `[batch, length]`, and `padding_mask`, bool of that shape, True where there is a token.
    """
    tokens = tf.cast(tokens, tf.int32)[:, : length - 2]
    rows = tokens.nrows()
    column = tf.ones([rows, 1], tf.int32)
    whole = tf.concat([start * column, tokens, end * column], axis=1)
    ids = whole.to_tensor(pad, shape=[None, length])
    mask = tf.sequence_mask(whole.row_lengths(), length)
    return {"token_ids": tf.ensure_shape(ids, [None, length]), "padding_mask": tf.ensure_shape(mask, [None, length])}


def without_padding(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What `pack_tokens` gave, as wide as the batch's longest row: the rest costs time and changes nothing."""
    longest = tf.reduce_sum(tf.cast(tensors["padding_mask"], tf.int32), axis=1)
    width = tf.reduce_max(tf.concat([longest, [1]], axis=0))  # a batch may have no rows
    return {name: tensor[:, :width] for name, tensor in tensors.items()}


def pool_tokens(sequence: tf.Tensor, mask: tf.Tensor | None, pooling: str) -> tf.Tensor:
    """Vectors of tokens `[batch, n, dim]` -> one `[batch, dim]`.

    Args:
        sequence: the vectors.
        mask: bool `[batch, n]`, True where there is a token; None where there is one everywhere.
        pooling: `cls` (the first token's), `mean` or `max` over what is there.
    """
    if pooling == "cls":
        return sequence[:, 0]
    if mask is None:
        return tf.reduce_mean(sequence, axis=1) if pooling == "mean" else tf.reduce_max(sequence, axis=1)
    if pooling == "max":
        return tf.reduce_max(tf.where(mask[:, :, None], sequence, sequence.dtype.min), axis=1)
    weights = tf.cast(mask, sequence.dtype)[:, :, None]
    return tf.reduce_sum(sequence * weights, axis=1) / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)


def without_accents(texts: tf.Tensor) -> tf.Tensor:
    """Texts `[batch]` in UTF-8, their letters without marks: `é` becomes `e`."""
    import tensorflow_text  # as tokenizers need it too

    return tf.strings.regex_replace(tensorflow_text.normalize_utf8(texts, "NFKD"), r"\p{Mn}", "")


def to_bytes(texts: tf.Tensor, length: int) -> dict[str, tf.Tensor]:
    """Texts `[batch]` -> `bytes`, uint8 `[batch, length]`, zeros behind them; no character is cut in two."""
    cut = tf.strings.unicode_transcode(tf.strings.substr(texts, 0, length), "UTF-8", "UTF-8", errors="ignore")
    return {"bytes": tf.ensure_shape(tf.io.decode_raw(cut, tf.uint8, fixed_length=length), [None, length])}


def from_bytes(codes: tf.Tensor) -> tf.Tensor:
    """What `to_bytes` gave, `[batch, length]` -> texts `[batch]`."""
    characters = tf.where(codes == 0, "", tf.gather(tf.constant(_CHARACTERS), tf.cast(codes, tf.int32)))
    return tf.strings.reduce_join(characters, axis=1)
