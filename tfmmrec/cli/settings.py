"""`--set key=value`: hyperparameters of a model and options of its training, by one flag."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.training_options import TrainingOptions


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """`["dim=64", "hidden_dims=[128, 64]"]` as a mapping; values are read as YAML.

    Raises:
        UsageError: a text without `=`, a key that stands there twice, or a value that is not YAML.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        key = key.strip()
        if not sign or not key:
            raise UsageError(f"--set {text}: expected key=value, such as --set dim=64")
        if key in settings:
            raise UsageError(f"--set {key} is given twice; leave one out")
        try:
            settings[key] = yaml.load(value, _Loader)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {text}: the value cannot be read: {error}") from None
    return settings


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads 1e-3 as a string; a number is what a person means."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def divide_settings(
    model: str, settings: Mapping[str, Any], options: Mapping[str, Any], num_candidates: int = 0
) -> tuple[dict[str, Any], TrainingOptions]:
    """Which settings are the model's own, and the options of its training.

    Args:
        model: a name of the zoo.
        settings: from `--set`.
        options: training options with a flag of their own; None where the flag was not given.
        num_candidates: of the dataset; the zoo's options may go by it.

    Returns:
        The model's hyperparameters, and the training's options: the zoo's for this model, changed by both.

    Raises:
        UsageError: an unknown model or key, a value of another type, or an option that is given by both.
    """
    from tfmmrec.training_options import TrainingOptions, options_of
    from tfmmrec.zoo import check_hyperparameters

    known_options = list(TrainingOptions.model_fields)
    own = {key: value for key, value in settings.items() if key not in known_options}
    check_hyperparameters(model, own, known_options)
    given = {name: value for name, value in options.items() if value is not None}
    if twice := sorted(set(settings) & set(given)):
        raise UsageError(f"{twice[0]} is given by --set and by its own flag; leave one out")
    chosen = {key: value for key, value in settings.items() if key in known_options}
    return own, options_of(model, own, chosen | given, num_candidates)
