"""Every encoder, listed once, with what it takes as input."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.conformance.encoder_part import EncoderPart, HistoryPart
from tests.data.clips import animation, mjpeg
from tests.data.waves import tone
from tests.encoders.reusable import (
    write_clip_model,
    write_image_halves,
    write_image_model,
    write_text_halves,
    write_text_model,
    write_waveform_model,
)
from tfmmrec.encoders import (
    AudioEncoder,
    CategoryEncoder,
    FactorIdentifier,
    HashedIdentifier,
    HistoryEncoder,
    IdentifierEncoder,
    ImageEncoder,
    NumberEncoder,
    PrecomputedEncoder,
    QuotientRemainderIdentifier,
    SavedModelEncoder,
    SequenceHistoryEncoder,
    TextEncoder,
    TpuIdentifier,
    VideoEncoder,
    VideoModelEncoder,
    WaveformModelEncoder,
)

NAN, INFINITE = float("nan"), float("inf")


def picture(red: int, green: int, size: tuple[int, int] = (20, 30)) -> bytes:
    """A PNG with a gradient, so that its pixels differ."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = red, green
    pixels[..., 2] = np.arange(size[0]) * 8
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _saved_model(write, kind: str, mode: str, dim: int, **options) -> Callable[[Path], SavedModelEncoder]:
    def make(folder: Path) -> SavedModelEncoder:
        path = folder / f"{write.__name__}_{dim}"
        handle = str(path) if path.exists() else write(path, dim)
        return SavedModelEncoder(handle, kind, mode=mode, **options)

    return make


def _waveform_model(mode: str) -> Callable[[Path], WaveformModelEncoder]:
    def make(folder: Path) -> WaveformModelEncoder:
        path = folder / "audio"
        return WaveformModelEncoder(str(path) if path.exists() else write_waveform_model(path), 1.0, mode)

    return make


def _video_model(write, mode: str, pooling: str = "mean") -> Callable[[Path], VideoModelEncoder]:
    def make(folder: Path) -> VideoModelEncoder:
        path = folder / f"{write.__name__}_of_videos"
        handle = str(path) if path.exists() else write(path)
        return VideoModelEncoder(handle, 3, pooling, mode, height=8, width=8)

    return make


def with_factors(encoder: FactorIdentifier) -> FactorIdentifier:
    """With some factors that are set."""
    encoder.set_factors(np.random.default_rng(4).normal(size=encoder.factors.shape))
    return encoder


PICTURES = [picture(200, 10), picture(10, 250), picture(90, 90, (31, 17))]
SOUNDS = [tone(440), tone(880, 44_100, num_channels=2), tone(3000, 8_000, seconds=0.1)]
VIDEOS = [mjpeg([10, 200, 90, 30]), animation([250, 120, 0]), mjpeg([80, 160])]
TEXTS = ["a red dress", "blue", "warm, warm wool"]
WORDS = ["red", "dress", "blue", "warm", "wool", "a"]
CATEGORIES = ["n", "s", "e"]
ENCODERS: list[EncoderPart] = [
    EncoderPart(
        "identifier",
        lambda _: IdentifierEncoder(["a", "b", "7"], 4, dropout=0.25, embeddings_stddev=0.3),
        ["a", "b", "7"],
        ["", "c", "A"],
    ),
    EncoderPart(
        "identifier with factors",
        lambda _: with_factors(FactorIdentifier(["a", "b", "7"], 4, 2, dropout=0.25)),
        ["a", "b", "7"],
        ["", "c", "A"],
        frozen=True,
    ),
    EncoderPart(
        "hashed identifier", lambda _: HashedIdentifier(["a", "b", "7"], 4, 8, dropout=0.25), ["a", "b", "7"], ["", "c"]
    ),
    EncoderPart("hashed identifier of any id", lambda _: HashedIdentifier(None, 4, 8), ["a", "b", "7"], ["", ""]),
    EncoderPart(
        "identifier by quotient and remainder",
        lambda _: QuotientRemainderIdentifier(["a", "b", "7"], 4, 2, dropout=0.25),
        ["a", "b", "7"],
        ["", "c"],
    ),
    EncoderPart(
        "identifier of a TPU",
        lambda _: TpuIdentifier(["a", "b", "7"], 4, dropout=0.25, embeddings_stddev=0.3),
        ["a", "b", "7"],
        ["", "c", "A"],
    ),
    EncoderPart("category", lambda _: CategoryEncoder(CATEGORIES, 4), ["n", " s ", "e"], ["", "?", "N"]),
    EncoderPart(
        "categories in one string",
        lambda _: CategoryEncoder(CATEGORIES, 4, separator="|", max_values=3),
        ["n|s", "e", "?| e |n|s"],
        ["", "|", "?|x"],
    ),
    EncoderPart(
        "categories in a list",
        lambda _: CategoryEncoder(CATEGORIES, 4, max_values=2, is_list=True),
        [["n", "s"], ["e", ""], ["?", "s"]],
        [["", ""], ["?", "x"], ["?", ""]],
    ),
    EncoderPart(
        "number",
        lambda _: NumberEncoder([0.0, 2000.0, 2001.0, 2e6], 4),
        [1.5, 2000.5, 1e6],
        [NAN, INFINITE, -INFINITE],
        raw_dtype=tf.float32,
    ),
    EncoderPart(
        "text",
        lambda _: TextEncoder(WORDS, 4, idf=[1.0, 2.0, 1.5, 3.0, 0.5, 1.25], max_words=5),
        TEXTS,
        ["", " ?! ", "unknown words"],
        frozen=True,
    ),
    EncoderPart(
        "image",
        lambda _: ImageEncoder(4, height=16, width=16, filters=(4, 6), mode="finetuned"),
        PICTURES,
        [b"", b""],
    ),
    EncoderPart(
        "image, changed in training",
        lambda _: ImageEncoder(4, height=16, width=16, filters=(4, 6), mode="finetuned", augmentation="full"),
        PICTURES,
        [b"", b""],
    ),
    *(
        EncoderPart(
            f"audio, {features}",
            lambda _, features=features: AudioEncoder(
                4, 0.2, features, num_bands=16, num_coefficients=8, filters=(4, 6), mode="finetuned"
            ),
            SOUNDS,
            [b"", b""],
        )
        for features in ("log_mel", "mfcc")
    ),
    *(
        EncoderPart(
            f"video, {pooling}",
            lambda _, pooling=pooling: VideoEncoder(4, 3, 8, 8, pooling, filters=(4, 6), mode="finetuned"),
            VIDEOS,
            [b"", b""],
        )
        for pooling in ("mean", "attention", "gru")
    ),
    EncoderPart(
        "precomputed",
        lambda _: PrecomputedEncoder(3),
        [[1.0, 2.0, 2.0], [0.0, -1e6, 0.0], [1e-5, 0.0, 0.0]],
        [[0.0, 0.0, 0.0], [NAN, 1.0, 1.0], [1.0, 2.0, INFINITE]],
        raw_dtype=tf.float32,
    ),
    HistoryPart(
        "history",
        lambda _: HistoryEncoder(3, dropout=0.25),
        [[5, 0, 2], [1, -1, -1], [3, -1, 4]],
        [[-1, -1, -1]],
    ),
    HistoryPart(
        "history through a transformer",
        lambda _: SequenceHistoryEncoder(3, num_heads=2, dropout=0.25, hidden_dropout=0.2),
        [[5, 0, 2], [1, -1, -1], [3, -1, 4]],
        [[-1, -1, -1]],
    ),
    *(
        HistoryPart(
            f"history of another size through a {kind}",
            lambda _, kind=kind: SequenceHistoryEncoder(3, kind, 5, dropout=0.25, hidden_dropout=0.2),
            [[5, 0, 2], [1, -1, -1], [3, -1, 4]],
            [[-1, -1, -1]],
        )
        for kind in ("transformer", "gru", "lstm")
    ),
    EncoderPart(
        "saved model of text, frozen",
        _saved_model(write_text_model, "text", "frozen", 4),
        TEXTS,
        ["", "  "],
        frozen=True,
        strings=("text",),
    ),
    EncoderPart(
        "saved model of text, finetuned",
        _saved_model(write_text_model, "text", "finetuned", 4),
        TEXTS,
        ["", "  "],
        strings=("text",),
    ),
    EncoderPart(
        "saved model of pictures, cached",
        _saved_model(write_image_model, "image", "cached", 3, height=8, width=8),
        PICTURES,
        [b"", b""],
        frozen=True,
    ),
    EncoderPart(
        "saved model of pictures, finetuned",
        _saved_model(write_image_model, "image", "finetuned", 3, height=8, width=8),
        PICTURES,
        [b"", b""],
    ),
    *(
        EncoderPart(
            f"saved model of {what} in two halves, {mode}",
            _saved_model(write, kind, mode, 3),
            given,
            missing,
            frozen=mode == "frozen",
        )
        for mode in ("frozen", "finetuned")
        for what, write, kind, given, missing in (
            ("text", write_text_halves, "text", TEXTS, ["", "  "]),
            ("pictures", write_image_halves, "image", PICTURES, [b"", b""]),
        )
    ),
    *(
        EncoderPart(
            f"saved model of sounds, {mode}", _waveform_model(mode), SOUNDS, [b"", b""], frozen=mode == "cached"
        )
        for mode in ("cached", "finetuned")
    ),
    *(
        EncoderPart(
            f"saved model of {what}, {mode}{', ' + pooling if pooling != 'mean' else ''}",
            _video_model(write, mode, pooling),
            VIDEOS,
            [b"", b""],
            frozen=mode != "finetuned",
        )
        for what, write, mode, pooling in (
            ("clips", write_clip_model, "cached", "mean"),
            ("clips", write_clip_model, "finetuned", "mean"),
            ("frames", write_image_model, "cached", "mean"),
            ("frames", write_image_model, "frozen", "attention"),
            ("frames in two halves", write_image_halves, "finetuned", "gru"),
        )
    ),
]
