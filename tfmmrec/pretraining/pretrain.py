"""Pretraining encoders on a catalogue: from a dataset and encoders to encoders, whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

import tfmmrec
from tfmmrec.data.dataset import Dataset
from tfmmrec.embedding import Progress
from tfmmrec.pretrained.encoder_card import CARD_FILE, check_target, read_card
from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretraining.augmentation_pairs import AugmentationPairs
from tfmmrec.pretraining.contents import Catalogue, Contents, catalogue_of, read_contents
from tfmmrec.pretraining.fit import Epoch, Fitted, fit
from tfmmrec.pretraining.image_text import ImageText
from tfmmrec.pretraining.masked_token import MaskedToken
from tfmmrec.pretraining.objective import Objective
from tfmmrec.pretraining.pretraining_options import PretrainingOptions
from tfmmrec.pretraining.small_image import small_image_halves
from tfmmrec.pretraining.small_text import small_text_halves, words_of_texts
from tfmmrec.pretraining.trainable_encoder import TrainableEncoder
from tfmmrec.staging import staged
from tfmmrec.types import UsageError

OBJECTIVES: dict[str, type[Objective]] = {
    "masked_token": MaskedToken,
    "augmentation_pairs": AugmentationPairs,
    "image_text": ImageText,
}
SMALL = "small"
_EXPORTED_RATE, _SMALL_RATE = 5e-5, 1e-3


@dataclass(frozen=True)
class Pretrained:
    """What `pretrain` did.

    Attributes:
        objective: its name.
        folders: of the encoders, by feature.
        contents: what was learned from.
        fitted: epochs and losses.
    """

    objective: str
    folders: dict[str, Path]
    contents: Contents
    fitted: Fitted


def pretrain(
    dataset: Dataset | Catalogue,
    encoders: Mapping[str, str | Path],
    to: str | Path,
    objective: str | None = None,
    options: PretrainingOptions | Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    told: Callable[[Epoch], None] | None = None,
) -> Pretrained:
    """Trains encoders on the contents of all candidates; interactions are not looked at.

    Args:
        dataset: the catalogue; `load_catalogue` reads one that has no interactions yet.
        encoders: by feature of the candidates, a folder that `tfmmrec encoder export` or `pretrain` wrote, or `small`
            for an untrained encoder of this library's. One feature may be `""`, for the only one of the encoder's kind.
        to: the folder of the encoder; of two encoders, that of their folders, which have the features' names.
        objective: a name in `OBJECTIVES`; by the kinds of the encoders when None.
        options: how; by name, those that differ from the default.
        overwrite: replace encoders that are there.
        progress: told what has been done.
        told: each epoch, as it ends.

    Raises:
        UsageError: no such feature or objective, encoders that do not fit it, an option of another objective, or a
            place that is taken.
        DataError: an encoder that cannot be trained so, or too few contents.
    """
    options = options if isinstance(options, PretrainingOptions) else PretrainingOptions(**dict(options or {}))
    catalogue = dataset if isinstance(dataset, Catalogue) else catalogue_of(dataset, options.with_cold)
    if catalogue is dataset and not options.with_cold:
        raise UsageError(
            "with_cold=false: which candidates are cold is told by a dataset with its interactions; pass one"
        )
    sources = name_encoders(catalogue, encoders)
    name = choose_objective(objective, [catalogue.features[feature].kind for feature in sources])
    check_options(name, options)
    with tempfile.TemporaryDirectory(prefix="tfmmrec-") as made, staged(to, lambda at: _check(at, overwrite)) as folder:
        loaded = {}
        for feature, source in sources.items():
            begun = _small(catalogue, feature, Path(made) / feature, options.seed) if source == SMALL else source
            loaded[feature] = TrainableEncoder(begun)
        goal = OBJECTIVES[name](loaded, options)
        halves = {feature: partial(goal.preprocess, feature) for feature in loaded}
        contents = read_contents(catalogue, halves, progress)
        default = {feature: _SMALL_RATE if source == SMALL else _EXPORTED_RATE for feature, source in sources.items()}
        rates = {feature: options.learning_rate or rate for feature, rate in default.items()}
        fitted = fit(goal, contents, options, rates, progress, told)
        for feature, encoder in loaded.items():
            place = _place(folder, feature, len(loaded))
            place.mkdir(exist_ok=True)
            done = {"objective": name, "feature": feature, "with": [other for other in loaded if other != feature]}
            encoder.write(place, done | _record(catalogue, name, options, rates[feature], contents, fitted))
    return Pretrained(name, {feature: _place(Path(to), feature, len(loaded)) for feature in loaded}, contents, fitted)


def name_encoders(catalogue: Catalogue, encoders: Mapping[str, str | Path]) -> dict[str, str]:
    """The encoders by the features that they are for.

    Args:
        catalogue: whose candidates have the features.
        encoders: as of `pretrain`.

    Raises:
        UsageError: a feature that there is not, that is no text and no picture or not what its encoder reads; or
            none was named and there are several.
        DataError: an encoder that there is not.
    """
    features = catalogue.features
    named: dict[str, str] = {}
    for feature, source in encoders.items():
        source = str(source)
        kind = None if source == SMALL else read_card(source)["input_kind"]
        fitting = [name for name, described in features.items() if described.kind in (kind or ("text", "image"))]
        wanted = "a text or a picture" if kind is None else "a text" if kind == "text" else "a picture"
        if feature not in fitting and (feature or len(fitting) != 1):
            what = f"{feature!r} is none of them" if feature else "name one: --encoder FEATURE=DIR"
            raise UsageError(
                f"{source} reads {wanted}, of which the candidates have {', '.join(fitting) or 'none'}; {what}"
            )
        if named.setdefault(feature or fitting[0], source) is not source:
            raise UsageError(f"two encoders are given for {feature or fitting[0]}; leave one out")
    return named


def choose_objective(objective: str | None, kinds: Sequence[str]) -> str:
    """The objective of encoders of these kinds.

    Raises:
        UsageError: there is none for them, or another one was named.
    """
    needs = {name: " and ".join(made.kinds) for name, made in OBJECTIVES.items()}
    fitting = [name for name, made in OBJECTIVES.items() if sorted(made.kinds) == sorted(kinds)]
    if objective is not None and objective not in OBJECTIVES:
        raise UsageError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}")
    if not fitting or (objective or fitting[0]) not in fitting:
        found = " and ".join(kinds) or "none"
        known = "; ".join(f"{name}: {need}" for name, need in needs.items())
        raise UsageError(f"{objective or 'pretraining'} does not take encoders of {found}; there are {known}")
    return objective or fitting[0]


def check_options(objective: str, options: PretrainingOptions) -> None:
    """Refuses options that were given and that this objective does not read.

    Raises:
        UsageError: there is one; the message names the objectives that it belongs to.
    """
    for option in sorted(options.model_fields_set & _foreign_options(objective)):
        readers = [name for name, made in OBJECTIVES.items() if option in made.own_options]
        raise UsageError(f"{option} is an option of {' and '.join(readers)}, not of {objective}; leave it out")


def _foreign_options(objective: str) -> set[str]:
    """Options that only others read."""
    every = {option for made in OBJECTIVES.values() for option in made.own_options}
    return every - set(OBJECTIVES[objective].own_options)


def _small(catalogue: Catalogue, feature: str, folder: Path, seed: int) -> Path:
    if catalogue.features[feature].kind == "image":
        halves = small_image_halves(seed=seed)
    else:
        texts = catalogue.candidates.features[feature].take(pa.array(catalogue.rows)).to_pylist()
        halves = small_text_halves(*words_of_texts(texts), seed=seed)
    folder.mkdir()
    write_halves(halves, folder)
    return folder


def _record(
    catalogue: Catalogue, objective: str, options: PretrainingOptions, rate: float, contents: Contents, fitted: Fitted
) -> dict[str, Any]:
    before = fitted.epochs[0]
    return {
        "dataset": catalogue.name,
        "contents_fingerprint": contents.fingerprint,
        "num_contents": len(contents),
        "num_absent": contents.num_absent,
        "num_repeated": contents.num_repeated,
        "num_epochs": fitted.best.number,
        "loss": {"chance": fitted.chance, "before": before.valid_loss, "after": fitted.best.valid_loss},
        "accuracy": {"before": before.valid_accuracy, "after": fitted.best.valid_accuracy},
        "options": options.model_dump(exclude=_foreign_options(objective)) | {"learning_rate": rate},
        "version": tfmmrec.__version__,
    }


def _place(folder: Path, feature: str, num_encoders: int) -> Path:
    return folder if num_encoders == 1 else folder / feature


def _check(target: str, overwrite: bool) -> None:
    """Refuses a place that holds anything but encoders, or holds some that must not be replaced."""
    path = Path(target)
    inside = sorted(path.iterdir()) if "://" not in target and path.is_dir() else []
    if inside and all((place / CARD_FILE).is_file() for place in inside):  # of two encoders
        for place in inside:
            check_target(place, overwrite)
    else:
        check_target(target, overwrite)
