"""Every encoder and every fusion, listed once, with what it takes as input.

The tests beside this file go over these lists. A new part needs one row here, and is then held to every property.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.encoders.reusable import write_image_model, write_text_model
from tfmmrec.encoders import (
    CategoryEncoder,
    HistoryEncoder,
    IdentifierEncoder,
    ImageEncoder,
    NumberEncoder,
    PrecomputedEncoder,
    SavedModelEncoder,
    TextEncoder,
)
from tfmmrec.fusion import (
    AttentionFusion,
    BlockFusion,
    CrossAttentionFusion,
    EarlyFusion,
    GatedFusion,
    HybridFusion,
    LateFusion,
    LateQueryHead,
    LowRankFusion,
    OneHead,
    SumFusion,
    TensorFusion,
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


@dataclass(frozen=True)
class EncoderPart:
    """One encoder.

    Attributes:
        name: of the row.
        make: folder for the files it needs -> a new encoder.
        given: raw values that are there, one a row; together they reach every weight.
        missing: raw values that all mean that there is none.
        raw_dtype: of the raw batch.
        frozen: it has weights that must not be trained.
        strings: tensors of `preprocess` that are strings, all others being numbers.
    """

    name: str
    make: Callable[[Path], Any]
    given: Sequence[Any]
    missing: Sequence[Any]
    raw_dtype: tf.DType = tf.string
    frozen: bool = False
    strings: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Any]:
        """Raw values, missing ones among those that are there."""
        return [self.given[0], self.missing[0], *self.given[1:], *self.missing[1:]]

    def inputs(self, encoder, rows: Sequence[Any]) -> dict[str, tf.Tensor]:
        """What `call` takes, for raw values."""
        return encoder.preprocess(tf.constant(rows, self.raw_dtype))


class HistoryPart(EncoderPart):
    """The history has no raw values of its own: the model gives it rows of the candidates' table."""

    table = np.random.default_rng(3).normal(size=(6, 4)).astype(np.float32)

    def inputs(self, encoder, rows: Sequence[Any]) -> dict[str, tf.Tensor]:
        return {"rows": tf.constant(rows, tf.int32), "table": tf.constant(self.table)}


def _saved_model(write, kind: str, mode: str, dim: int, **options) -> Callable[[Path], SavedModelEncoder]:
    def make(folder: Path) -> SavedModelEncoder:
        path = folder / f"{kind}_{dim}"
        handle = str(path) if path.exists() else write(path, dim)
        return SavedModelEncoder(handle, kind, mode=mode, **options)

    return make


PICTURES = [picture(200, 10), picture(10, 250), picture(90, 90, (31, 17))]
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
]

MODALITIES = {"look": 3, "price": 2, "words": 4}
"""Name -> size, in the order of the names."""
PATTERNS = np.array([[row >> bit & 1 for bit in range(3)] for row in range(8)], bool)
"""Every combination of present modalities, `[8, 3]`; the first has none."""


def embedded(seed: int = 0, absent: float = 0.0, patterns: np.ndarray = PATTERNS) -> dict[str, dict[str, tf.Tensor]]:
    """Modalities of every presence pattern; `absent` is what stands in the vectors of those that are not there."""
    random = np.random.default_rng(seed)
    parts = {}
    for place, (name, dim) in enumerate(MODALITIES.items()):
        vectors = random.normal(size=(len(patterns), dim)).astype(np.float32)
        present = patterns[:, place]
        vectors[~present] = absent
        parts[name] = {"vector": tf.constant(vectors), "present": tf.constant(present)}
    return parts


SEQUENCES = {"look": (3, 5), "words": (2, 4)}
"""Of the modalities, those that have sequences -> their length and the size of their tokens."""


def embedded_with_sequences(
    seed: int = 0, absent: float = 0.0, patterns: np.ndarray = PATTERNS
) -> dict[str, dict[str, tf.Tensor]]:
    """The same with sequences, most of them shorter than their room; `absent` stands behind their ends too."""
    random, parts = np.random.default_rng(100 + seed), embedded(seed, absent, patterns)
    rows = np.arange(len(patterns))[:, None]
    for name, (length, dim) in SEQUENCES.items():
        present = patterns[:, list(MODALITIES).index(name), None]
        mask = present & (np.arange(length) <= rows % length)  # [batch, length]
        tokens = random.normal(size=(len(patterns), length, dim)).astype(np.float32)
        tokens[~mask] = absent
        parts[name] |= {"sequence": tf.constant(tokens), "sequence_mask": tf.constant(mask)}
    return parts


@dataclass(frozen=True)
class FusionPart:
    """One fusion.

    Attributes:
        name: of the row.
        make: -> a new fusion.
        full_precision: its result is float32 under mixed precision too, else it has the compute dtype.
    """

    name: str
    make: Callable[[], Any]
    full_precision: bool = False

    def inputs(self, **options) -> Any:
        """What `call` takes: modalities, one row for each presence pattern."""
        return embedded(**options)


class SequencePart(FusionPart):
    """A fusion that reads sequences where there are any."""

    def inputs(self, **options) -> Any:
        return embedded_with_sequences(**options)


class OneSizePart(FusionPart):
    """A fusion of modalities that have one size already."""

    def inputs(self, **options) -> Any:
        most = max(MODALITIES.values())
        parts = embedded(**options)
        for part in parts.values():
            part["vector"] = tf.pad(part["vector"], [(0, 0), (0, most - part["vector"].shape[1])], constant_values=0.5)
        return parts


class HeadPart(FusionPart):
    """The query's side takes one fused vector; nothing is missing in it."""

    def inputs(self, **options) -> Any:
        return tf.concat([part["vector"] for part in embedded(patterns=np.ones((8, 3), bool)).values()], axis=1)


FUSIONS: list[FusionPart] = [
    FusionPart("early", lambda: EarlyFusion(5)),
    FusionPart("early with hidden layers", lambda: EarlyFusion(5, [8, 6], activation="tanh", dropout=0.2)),
    FusionPart("late", lambda: LateFusion(4), full_precision=True),
    FusionPart("hybrid", lambda: HybridFusion(4, [6], dropout=0.2), full_precision=True),
    FusionPart("attention", lambda: AttentionFusion(4, 6, direct=["words"], dropout=0.2)),
    FusionPart("attention over short content", lambda: AttentionFusion(4, direct=["words"], scale=0.1)),
    FusionPart("gated", lambda: GatedFusion(5, dropout=0.2)),
    FusionPart("gated over short content", lambda: GatedFusion(4, direct=["words"], scale=0.1)),
    FusionPart("tensor", lambda: TensorFusion(5, modality_dim=2, scale=1.0)),
    FusionPart("tensor beside what is added", lambda: TensorFusion(4, direct=["words"], scale=0.5, max_size=40)),
    FusionPart("low rank", lambda: LowRankFusion(5, rank=2)),
    FusionPart("low rank beside what is added", lambda: LowRankFusion(4, rank=3, direct=["words"], scale=0.5)),
    FusionPart("cross attention", lambda: CrossAttentionFusion(4, 2)),
    FusionPart("cross attention over short content", lambda: CrossAttentionFusion(4, 1, direct=["words"], scale=0.1)),
    SequencePart("cross attention of sequences", lambda: CrossAttentionFusion(4, 2)),
    SequencePart("cross attention of all tokens", lambda: CrossAttentionFusion(6, 3, hierarchical=False, scale=1.0)),
    FusionPart("block", lambda: BlockFusion(5, direct=["words"])),
    FusionPart("block of short content", lambda: BlockFusion(4, scale=0.1)),
    OneSizePart("sum", lambda: SumFusion()),
    HeadPart("one head", lambda: OneHead()),
    HeadPart("late query head", lambda: LateQueryHead(3, 4), full_precision=True),
]
FUSIONS_OF_MODALITIES = [part for part in FUSIONS if not isinstance(part, HeadPart)]


def arrays(tensors) -> Any:
    """Tensors in any structure, as arrays."""
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), tensors)


def by_name(part) -> str:
    """What a test is called by."""
    return part.name
