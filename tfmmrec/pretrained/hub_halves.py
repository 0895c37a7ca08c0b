"""A model of TF-Hub's common signatures, with the half that it lacks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_hub as hub

from tfmmrec.encoders.frames import decode_frames
from tfmmrec.encoders.pictures import decode_pictures
from tfmmrec.encoders.taken_inputs import TakenInput, clips_among, pictures_among, taken_inputs, takes_training
from tfmmrec.pretrained.export_request import ExportRequest
from tfmmrec.pretrained.halves import Halves
from tfmmrec.pretrained.text_input import from_bytes, to_bytes
from tfmmrec.types import DataError, UsageError

_TEXT_BYTES, _IMAGE_SIZE, _NUM_FRAMES = 512, 224, 16


def hub_halves(request: ExportRequest) -> Halves:
    """Loads a TF-Hub model that takes strings `[batch]`, or floats in [0, 1]: pictures `[batch, height, width, 3]` or
    clips `[batch, frames, height, width, 3]`.

    Texts travel between the halves as bytes, as many as `max_length` says; pictures and frames as pixels, which were
    cut to their form and resized. Frames are evenly spread over a video; those of a short one stand several times.

    Raises:
        DataError: it cannot be loaded, is not reusable, or takes or gives something else.
        UsageError: options that mean nothing to it, or a size that it does not take.
    """
    request.refuse("a TF-Hub model pools by itself", "pooling")
    request.refuse("a TF-Hub model brings its weights", "untrained")
    try:
        model = hub.load(request.source)
    except Exception as error:  # of the network, of files, of graphs: whatever can be wrong with a model
        raise DataError(f"{request.source}: cannot be loaded as a TF-Hub model: {_first_line(error)}") from error
    if not callable(model) or not hasattr(model, "variables"):
        raise DataError(
            f"{request.source}: expected a reusable TF2 SavedModel (an object with __call__, variables and "
            f"trainable_variables), found {'signatures' if getattr(model, 'signatures', None) else 'an object'} alone; "
            f"models in the format of TF1, and those made for serving only, cannot be trained with the rest"
        )
    taken = taken_inputs(model)
    texts = [way for way in taken if way.spec.dtype == tf.string and way.spec.shape.rank in (1, None)]
    ways = {"text": texts, "image": pictures_among(taken), "video": clips_among(taken)}
    if not any(ways.values()):
        found = ", ".join(f"{way.spec.dtype.name} {way.spec.shape}" for way in taken) or "none that is one tensor"
        raise DataError(
            f"{request.source}: expected a model of strings [batch], of pictures, float32 [batch, height, width, 3], "
            f"or of clips, float32 [batch, frames, height, width, 3]; its inputs are {found}"
        )
    kind = request.half or next(kind for kind in ("text", "video", "image") if ways[kind])
    if not ways[kind]:
        raise UsageError(f"{request.source}: is no model of {kind}; leave out half")
    way = ways[kind][0]
    options = {"training": False} if takes_training(model) else {}

    def run(raw: tf.Tensor) -> tf.Tensor:
        return _vector(model(way.passed(raw), **options), request.source)

    about: dict[str, Any] = {"source": request.source, "network": "SavedModel"}
    weights = list(model.variables), list(getattr(model, "trainable_variables", []))
    if kind == "text":
        request.refuse("it reads texts", "image_size", "num_frames")
        length = request.max_length or _TEXT_BYTES
        return Halves(
            "text",
            lambda raw: to_bytes(raw, length),
            lambda tensors: run(from_bytes(tensors["bytes"])),
            *weights,
            [model],
            about | {"max_length": length},
        )
    request.refuse(f"it reads {'pictures' if kind == 'image' else 'videos'}", "max_length")
    height, width = _size(way, request)
    about |= {"image_size": [height, width]}
    if kind == "video":
        num_frames = _num_frames(way, request)
        return Halves(
            "video",
            lambda raw: {"clip": decode_frames(raw, num_frames, height, width, crop=True, repeat=True)[0]},
            lambda tensors: run(tf.cast(tensors["clip"], tf.float32) / 255.0),
            *weights,
            [model],
            about | {"num_frames": num_frames},
        )
    request.refuse("it reads pictures", "num_frames")
    return Halves(
        "image",
        lambda raw: {"pixels": decode_pictures(raw, height, width, crop=True)[0]},
        lambda tensors: run(tf.cast(tensors["pixels"], tf.float32) / 255.0),
        *weights,
        [model],
        about,
    )


def _vector(found, source: str) -> tf.Tensor:
    if isinstance(found, dict):
        name = next((name for name in ("pooled_output", "default") if name in found), None)
        if name is None:
            raise DataError(f"{source}: expected one vector, or a pooled_output or default, found {sorted(found)}")
        found = found[name]
    return tf.cast(found, tf.float32)


def _size(way: TakenInput, request: ExportRequest) -> tuple[int, int]:
    fixed = way.spec.shape[-3:-1].as_list() if way.spec.shape.rank else [None, None]
    size = [own or request.image_size or _IMAGE_SIZE for own in fixed]
    if request.image_size is not None and size != [request.image_size] * 2:
        raise UsageError(f"{request.source}: takes pictures of {fixed[0]}×{fixed[1]} pixels only; leave out image_size")
    return size[0], size[1]


def _num_frames(way: TakenInput, request: ExportRequest) -> int:
    fixed = way.spec.shape[1]
    if fixed is not None and request.num_frames not in (None, fixed):
        raise UsageError(f"{request.source}: takes clips of {fixed} frames only; leave out num_frames")
    return fixed or request.num_frames or _NUM_FRAMES


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
