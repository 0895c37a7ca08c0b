"""KerasHub's presets and checkpoints: encoders of texts, of pictures, and the halves of those that read both."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.pretrained.byte_pairs import without_cache
from tfmmrec.pretrained.export_request import ExportRequest
from tfmmrec.pretrained.halves import Halves
from tfmmrec.pretrained.layer_groups import layer_groups
from tfmmrec.pretrained.text_input import pack_tokens, pool_tokens, without_accents, without_padding
from tfmmrec.types import DataError, UsageError

_MAX_LENGTH = 128
_CLASS_TOKENS = ("DeiTBackbone", "DINOV2Backbone", "DINOV3Backbone")  # and ViT, unless it is told not to


def checkpoint_halves(request: ExportRequest) -> Halves:
    """Loads a KerasHub preset, or a checkpoint that KerasHub can read.

    Raises:
        DataError: no such preset, or files that are missing or do not fit.
        UsageError: options that mean nothing to the network, or a size beyond what it takes.
    """
    with _loading(request, "its network", "its weights do not fit the network that its config describes"):
        backbone = keras_hub.models.Backbone.from_preset(
            request.source, load_weights=not request.untrained, dtype="float32"
        )
    card = {"source": request.source, "network": type(backbone).__name__, "licence": _licence(request.source)}
    inputs = backbone.input if isinstance(backbone.input, dict) else {"images": backbone.input}
    if isinstance(backbone, keras_hub.models.CLIPBackbone):
        if request.half is None:
            raise UsageError(f"{request.source}: reads texts and pictures; choose one with --half text or --half image")
        request.refuse("its halves pool by themselves", "pooling")
    elif request.half not in (None, "text" if "token_ids" in inputs else "image"):
        raise UsageError(f"{request.source}: {card['network']} has no half of that kind; leave out --half")
    if "token_ids" in inputs and request.half != "image":
        request.refuse("it reads texts", "image_size")
        return _text_halves(request, backbone, card)
    if "images" in inputs:
        request.refuse("it reads pictures", "max_length")
        return _image_halves(request, backbone, inputs["images"].shape, card)
    raise DataError(
        f"{request.source}: expected an encoder of texts or of pictures, found {card['network']}, "
        f"which takes {', '.join(inputs)}"
    )


def _text_halves(request: ExportRequest, backbone, card: dict[str, Any]) -> Halves:
    lowers, strips = _own_folding(request.source)
    with _loading(request, "its vocabulary", "its vocabulary cannot be used"):
        tokenizer = keras_hub.models.Tokenizer.from_preset(request.source)
        is_word_piece = isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer)
        if is_word_piece and strips:
            tokenizer = keras_hub.models.Tokenizer.from_preset(request.source, strip_accents=True)
    tracked = without_cache(tokenizer)
    if isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer):
        tracked.append(tokenizer._sentence_piece)  # holds its model, which nothing else would save
    ends = [_token(tokenizer, request, *names) for names in (("cls", "start"), ("sep", "end"), ("pad",))]
    is_pair = isinstance(backbone, keras_hub.models.CLIPBackbone)
    limit = getattr(backbone.text_encoder if is_pair else backbone, "max_sequence_length", None)
    length = request.max_length or _own_length(request.source) or min(_MAX_LENGTH, limit or _MAX_LENGTH)
    if limit and length > limit:
        raise UsageError(f"max_length must be at most {limit} for {request.source}, got {length}")
    own_pooling, normalizes = _own_pooling(request.source)
    pooling = request.pooling or own_pooling or "mean"
    lowers, strips = (is_pair or lowers) and not is_word_piece, strips and not is_word_piece  # that does it by itself
    network = backbone
    if isinstance(backbone.output, dict) and not is_pair:  # without what makes the other outputs, and is not trained
        network = keras.Model(backbone.input, backbone.output["sequence_output"])

    def preprocess(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        clean = tf.strings.unicode_transcode(raw, "UTF-8", "UTF-8")  # tokenizers stop at bytes that are none
        clean = without_accents(clean) if strips else clean
        return pack_tokens(tokenizer(tf.strings.lower(clean, "utf-8") if lowers else clean), *ends, length)

    def sequence_of(tensors: dict[str, tf.Tensor]) -> tf.Tensor:
        given = {"segment_ids": tf.zeros_like(tensors["token_ids"])} | tensors
        return network({name: given[name] for name in network.input}, training=False)

    def encode(tensors: dict[str, tf.Tensor]) -> tf.Tensor:
        if is_pair:
            return backbone.get_text_embeddings(tensors["token_ids"])
        tensors = without_padding(tensors)
        vector = pool_tokens(sequence_of(tensors), tensors["padding_mask"], pooling)
        return tf.math.l2_normalize(vector, axis=1) if normalizes else vector

    def encode_sequence(tensors: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        sequence = sequence_of(without_padding(tensors))
        rest = length - tf.shape(sequence)[1]
        whole = tf.pad(sequence, [[0, 0], [0, rest], [0, 0]])
        return tf.ensure_shape(whole, [None, length, sequence.shape[2]]), tensors["padding_mask"]

    card |= {"max_length": length, "normalized": normalizes}
    card |= {} if is_pair else {"pooling": pooling}
    mask = getattr(tokenizer, "mask_token_id", None)
    if mask is not None and not is_pair:  # what learning from masked tokens has to know
        size = getattr(backbone, "vocabulary_size", None) or tokenizer.vocabulary_size()
        card["tokens"] = {"vocabulary_size": int(size), "mask": int(mask), "special": sorted(set(ends))}
    sequence = None if is_pair else encode_sequence
    return Halves("text", preprocess, encode, *_weights(backbone), tracked, card, sequence, _layers(backbone))


def _image_halves(request: ExportRequest, backbone, shape: tuple, card: dict[str, Any]) -> Halves:
    with _loading(request, "what says which pixels its weights expect", "its image converter cannot be used"):
        converter = keras_hub.layers.ImageConverter.from_preset(request.source)
    if converter is None:
        raise DataError(
            f"{request.source}: expected preprocessor_config.json or image_converter.json, which says what pixels its "
            f"weights expect, found neither; put the one that the checkpoint came with beside its weights"
        )
    fixed = None if shape[1] is None else (shape[1], shape[2])
    wanted = request.image_size and (request.image_size, request.image_size)
    if fixed and wanted not in (None, fixed):
        raise UsageError(f"{request.source}: takes pictures of {fixed[0]}×{fixed[1]} pixels only; leave out image_size")
    height, width = wanted or fixed or converter.image_size or (224, 224)
    scale = np.asarray(1.0 if converter.scale is None else converter.scale, np.float32)
    offset = np.asarray(0.0 if converter.offset is None else converter.offset, np.float32)
    is_pair = isinstance(backbone, keras_hub.models.CLIPBackbone)
    rank = 2 if is_pair else len(backbone.output.shape)
    has_class_token = rank == 3 and _has_class_token(backbone)
    if request.pooling == "cls" and not has_class_token:
        raise UsageError(f"{request.source}: has cells of a picture, and no first token; pooling is mean or max")
    pooling = request.pooling or ("cls" if has_class_token else "mean")
    options = dict(crop=converter.crop_to_aspect_ratio, method=converter.interpolation, antialias=converter.antialias)

    def preprocess(raw: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pixels": decode_pictures(raw, height, width, **options)[0]}

    def encode(tensors: dict[str, tf.Tensor]) -> tf.Tensor:
        pixels = tf.cast(tensors["pixels"], tf.float32) * scale + offset
        if is_pair:
            return backbone.get_vision_embeddings(pixels)
        found = backbone({"images": pixels} if isinstance(backbone.input, dict) else pixels, training=False)
        if rank == 4:  # [batch, height, width, channels]
            return tf.reduce_mean(found, [1, 2]) if pooling == "mean" else tf.reduce_max(found, [1, 2])
        return pool_tokens(found, None, pooling)

    card |= {"image_size": [height, width]} | ({} if is_pair else {"pooling": pooling})
    return Halves("image", preprocess, encode, *_weights(backbone), card=card, layers=_layers(backbone))


def _weights(backbone) -> tuple[list[tf.Variable], list[tf.Variable]]:
    return [weight.value for weight in backbone.weights], [weight.value for weight in backbone.trainable_weights]


def _layers(backbone) -> list[list[tf.Variable]]:
    return [[weight.value for weight in layer] for layer in layer_groups(backbone.trainable_weights)]


def _has_class_token(backbone) -> bool:
    return getattr(backbone, "use_class_token", type(backbone).__name__ in _CLASS_TOKENS)


def _token(tokenizer, request: ExportRequest, *names: str) -> int:
    for name in names:
        found = getattr(tokenizer, f"{name}_token_id", None)
        if found is not None:
            return int(found)
    raise DataError(f"{request.source}: expected a tokenizer with a {names[-1]} token, as BERT's and CLIP's have; "
                    f"{type(tokenizer).__name__} has none")  # fmt: skip


@contextlib.contextmanager
def _loading(request: ExportRequest, what: str, misfit: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise
    except Exception as error:  # of the network, of files, of shapes: whatever can be wrong with a checkpoint
        message = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        presets = keras_hub.models.Backbone.presets
        if request.kind == "preset" and request.source not in presets:
            near = difflib.get_close_matches(request.source, presets, n=1)
            raise DataError(
                f"{request.source}: expected a KerasHub preset's name, a checkpoint's directory, applications:NAME, "
                f"or a TF-Hub handle or directory, found none{f'; did you mean {near[0]}?' if near else ''}"
            ) from error
        if request.kind == "preset" or "://" in request.source:
            raise DataError(
                f"{request.source}: cannot be fetched, or not be read: {message}; where there is no way to it, name a "
                f"directory that holds the checkpoint"
            ) from error
        if isinstance(error, FileNotFoundError):
            raise DataError(f"{request.source}: {what} is missing: {message}; put the file beside the rest") from error
        raise DataError(f"{request.source}: {misfit}: {message}") from error


def _told(source: str, name: str) -> Any:
    """What a JSON file of a checkpoint's directory says; an empty mapping where there is none."""
    path = Path(source) / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _own_length(source: str) -> int | None:
    """How many tokens of a text the checkpoint says it reads."""
    return _told(source, "sentence_bert_config.json").get("max_seq_length") or _told(source, "preprocessor.json").get(
        "config", {}
    ).get("sequence_length")


def _own_folding(source: str) -> tuple[bool, bool]:
    """Whether the checkpoint's texts are lower-cased, and whether they lose their accents: BERT's and ALBERT's own
    tokenizers take the accents wherever they lower-case and are not told otherwise; KerasHub's do not.
    """
    told = _told(source, "tokenizer_config.json")
    lowers, strips = bool(told.get("do_lower_case")), told.get("strip_accents")
    if strips is None and told.get("keep_accents") is not None:  # as ALBERT's says it
        strips = not told["keep_accents"]
    return lowers, lowers if strips is None else bool(strips)


def _own_pooling(source: str) -> tuple[str | None, bool]:
    """How the checkpoint says that texts are pooled, and whether to unit length, if it does."""
    told = _told(source, "1_Pooling/config.json")
    modes = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens"}
    pooling = next((name for name, key in modes.items() if told.get(f"pooling_mode_{key}")), None)
    modules = _told(source, "modules.json") or []
    return pooling, any(module.get("type", "").endswith("Normalize") for module in modules)


def _licence(source: str) -> str | None:
    """The licence that the checkpoint's README names in its head."""
    path = Path(source) / "README.md"
    head = path.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0] if path.is_file() else ""
    found = re.search(r"^licen[sc]e:\s*(\S+)", head, re.MULTILINE)
    return found[1].strip("\"'") if found and head.startswith("---") else None
