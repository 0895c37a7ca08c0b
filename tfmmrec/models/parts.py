"""From a schema and its statistics to a side's encoders."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tfmmrec.data.statistics import FeatureStatistics
from tfmmrec.encoders.audio import AudioEncoder
from tfmmrec.encoders.category import CategoryEncoder
from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.encoders.image import ImageEncoder
from tfmmrec.encoders.number import NumberEncoder
from tfmmrec.encoders.precomputed import PrecomputedEncoder
from tfmmrec.encoders.text import TextEncoder
from tfmmrec.encoders.video import VideoEncoder
from tfmmrec.schema import Feature
from tfmmrec.types import UsageError


def feature_encoder(
    name: str,
    feature: Feature,
    statistics: FeatureStatistics,
    dim: int,
    *,
    text_mode: str = "cached",
    text_dim: int = 128,
    max_words: int = 128,
    image_mode: str = "cached",
    image_size: int = 64,
    image_augmentation: str = "none",
    audio_mode: str = "cached",
    audio_seconds: float = 4.0,
    audio_features: str = "log_mel",
    video_mode: str = "cached",
    video_frames: int = 8,
    video_pooling: str = "mean",
    pretrained: Mapping[str, str] | None = None,
    pretrained_mode: str = "cached",
    pretrained_centered: bool = True,
) -> Encoder:
    """The encoder of one feature by its kind.

    Args:
        name: of the feature and of the layer.
        feature: its description.
        statistics: what was counted of it.
        dim: size of its vector.
        text_mode: cached or finetuned, for the words of candidates.
        text_dim: size of a text's vector.
        max_words: cap on the words read of a text.
        image_mode: cached or finetuned, for the small image network.
        image_size: pixels in height and width it sees; of a video's frames too.
        image_augmentation: none, flip, crop or full (crop, flip, light and colour): how pictures and videos are changed
            at random whenever an encoder is trained on them, in its own training or in every step; never else. Not for
            pretrained encoders that are frozen or cached. See `PictureAugmentation`.
        audio_mode: cached or finetuned, for the small audio network.
        audio_seconds: how much of a sound it hears, from the start.
        audio_features: log_mel (bands of frequencies) or mfcc (a cosine transform of them), see `AudioEncoder`.
        video_mode: cached or finetuned, for the small video network.
        video_frames: how many frames of a video it sees, evenly spread; a pretrained encoder too.
        video_pooling: mean, attention or gru, of the frames' vectors; beside a cached pretrained encoder mean only.
        pretrained: text, image, audio or video feature of candidates -> TF-Hub handle or directory of the SavedModel
            that encodes it; for videos one of clips, or of pictures, frame by frame.
        pretrained_mode: frozen, cached or finetuned, of those.
        pretrained_centered: what all of a catalogue's vectors have in common is taken off them, see `MeanCentering`;
            not where a video's pooling is learned in every step (attention, gru): what comes of that has no such mean.

    Raises:
        UsageError: a pretrained encoder for a feature that is no text, image, sound or video; an augmentation for a
            pretrained one that is not finetuned.
    """
    if pretrained and name in pretrained:
        if feature.kind not in ("text", "image", "audio", "video"):
            raise UsageError(
                f"pretrained: {name} is of kind {feature.kind}, but they are for text, image, audio and video"
            )
        if feature.kind == "audio":
            from tfmmrec.encoders.waveform_model import WaveformModelEncoder  # as below

            return WaveformModelEncoder(
                pretrained[name], max(audio_seconds, 1.0), pretrained_mode, centered=pretrained_centered, name=name
            )
        if feature.kind == "video":
            from tfmmrec.encoders.video_model import VideoModelEncoder  # as below

            return VideoModelEncoder(
                pretrained[name],
                video_frames,
                video_pooling,
                pretrained_mode,
                augmentation=image_augmentation,
                centered=pretrained_centered and video_pooling == "mean",
                name=name,
            )
        from tfmmrec.encoders.saved_model import SavedModelEncoder  # imports tensorflow_hub: only for those who use it

        augmentation = image_augmentation if feature.kind == "image" else "none"
        return SavedModelEncoder(
            pretrained[name],
            feature.kind,
            mode=pretrained_mode,
            augmentation=augmentation,
            centered=pretrained_centered,
            name=name,
        )
    if feature.kind == "identifier":
        return IdentifierEncoder(statistics.vocabulary, dim, name=name)
    if feature.kind == "category":
        return CategoryEncoder(
            statistics.vocabulary,
            dim,
            separator=feature.separator,
            max_values=feature.max_values if statistics.is_list else statistics.max_length,
            is_list=statistics.is_list,
            name=name,
        )
    if feature.kind == "number":
        return NumberEncoder(statistics.edges, dim, name=name)
    if feature.kind == "text":
        return TextEncoder(
            statistics.vocabulary,
            min(text_dim, max(len(statistics.vocabulary), 1)),
            idf=statistics.idf,
            max_words=min(max_words, statistics.max_length),
            mode=text_mode,
            name=name,
        )
    if feature.kind == "image":
        return ImageEncoder(
            dim, height=image_size, width=image_size, mode=image_mode, augmentation=image_augmentation, name=name
        )
    if feature.kind == "audio":
        return AudioEncoder(dim, audio_seconds, audio_features, mode=audio_mode, name=name)
    if feature.kind == "video":
        return VideoEncoder(
            dim,
            video_frames,
            image_size,
            image_size,
            video_pooling,
            mode=video_mode,
            augmentation=image_augmentation,
            name=name,
        )
    return PrecomputedEncoder(statistics.dim, name=name)


def feature_encoders(
    features: Mapping[str, Feature], statistics: Mapping[str, FeatureStatistics], dim: int, **options
) -> dict[str, Encoder]:
    """The encoders of a side's features, by name; `options` as for `feature_encoder`.

    Raises:
        UsageError: a pretrained encoder for a feature that is not there.
    """
    if unknown := sorted(set(options.get("pretrained") or {}) - set(features)):
        raise UsageError(f"pretrained: there is no feature {unknown[0]!r}; there are {', '.join(features) or 'none'}")
    return {
        name: feature_encoder(name, feature, statistics[name], dim, **options) for name, feature in features.items()
    }


def of_queries(encoding: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `feature_encoder` for features of queries, from those for features of candidates.

    Nothing of them is encoded once, for whoever asks may be new; and pretrained encoders are for candidates.

    Raises:
        TypeError: an argument that `feature_encoder` does not have.
    """
    known = {name: p for name, p in inspect.signature(feature_encoder).parameters.items() if p.kind is p.KEYWORD_ONLY}
    if unknown := sorted(set(encoding) - set(known)):
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}; there are {', '.join(known)}")
    live = {name: "finetuned" for name in known if name.endswith("_mode") and name != "pretrained_mode"}
    return {name: value for name, value in encoding.items() if not name.startswith("pretrained")} | live
