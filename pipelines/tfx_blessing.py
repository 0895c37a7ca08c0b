"""Whether a model that TFX trained may be pushed: the checks of `tfmmrec push`, in the terms of TFX's ModelBlessing.

It imports no tfx; the component in `tfx_pipeline.py` is a shell around it. A blessing is a file `BLESSED` or
`NOT_BLESSED` in the artifact's folder, and the properties that Pusher and TFX's LatestBlessedModelStrategy read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

import tfmmrec  # noqa: F401  (before TensorFlow)
from tfmmrec.serving.blessing import Blessing, bless
from tfmmrec.serving.paths import is_remote
from tfmmrec.serving.policy import Policy
from tfmmrec.types import UsageError

EVALUATION = "blessing.json"
_FILES = {True: "BLESSED", False: "NOT_BLESSED"}


def judge(model: str, policy: str, blessing: str, evaluation: str, baseline: str | None = None) -> Blessing:
    """Measures a model with the queries of the split `eval` that it carries, and writes what was found.

    Without a baseline the model is held against what the policy asks of it by itself; with one also against that, both
    on the same queries. In either case it is loaded in a fresh process as TensorFlow Serving loads it, and asked.

    Args:
        model: the folder of the exported model.
        policy: the attributes of `Policy` as JSON, "{}" for the default one.
        blessing: the folder that gets `BLESSED` or `NOT_BLESSED`.
        evaluation: the folder that gets `blessing.json`: checks, figures, policy.
        baseline: the folder of the model that was blessed last.

    Raises:
        UsageError: not a policy, or a model that recommends nothing or carries no queries.
        DataError: the folder holds no export.
    """
    with _at_hand(model) as own, _at_hand(baseline) as other:
        found = bless(own, policy=parse_policy(policy), in_service=other)
    _write(evaluation, EVALUATION, json.dumps(found.described(), indent=2, allow_nan=False) + "\n")
    _write(blessing, _FILES[found.passed], "")
    return found


def parse_policy(text: str) -> Policy:
    """A policy from JSON.

    Raises:
        UsageError: not JSON, an attribute that there is not, or a value out of its range.
    """
    try:
        return Policy.model_validate(json.loads(text or "{}"))
    except (ValidationError, json.JSONDecodeError) as error:
        raise UsageError(f"the policy {text!r} is none: {error}") from None


def properties(blessed: bool, model: tuple[str, int], baseline: tuple[str, int] | None) -> dict[str, str | int]:
    """What a ModelBlessing says, by the names that TFX's Evaluator gives it.

    Args:
        blessed: whether all checks passed.
        model: address and id of the Model artifact.
        baseline: the same of the one that it was compared with.
    """
    said: dict[str, str | int] = {"blessed": int(blessed), "current_model": model[0], "current_model_id": model[1]}
    if baseline is not None:
        said |= {"baseline_model": baseline[0], "baseline_model_id": baseline[1]}
    return said


@contextmanager
def _at_hand(folder: str | None) -> Iterator[str | None]:
    """A folder of this machine: itself, or a copy of a remote one that ends with the block."""
    if folder is None or not is_remote(folder):
        yield folder
        return
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="tfmmrec-model-") as copy:
        for place, _, names in tf.io.gfile.walk(folder):
            inside = Path(copy) / place[len(folder) :].strip("/")
            inside.mkdir(parents=True, exist_ok=True)
            for name in names:
                tf.io.gfile.copy(f"{place.rstrip('/')}/{name}", str(inside / name))
        yield copy


def _write(folder: str, name: str, text: str) -> None:
    import tensorflow as tf

    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(f"{folder.rstrip('/')}/{name}", "w") as file:
        file.write(text)
