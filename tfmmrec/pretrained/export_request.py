"""What is asked of an export of a pretrained encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfmmrec.types import DataError, UsageError

APPLICATIONS = "applications:"
_FETCHED_CHECKPOINTS = ("hf://", "kaggle://", "modelscope://")
_CHOICES = {"pooling": ("mean", "cls", "max"), "half": ("text", "image")}


@dataclass(frozen=True)
class ExportRequest:
    """What is asked of an export of a pretrained encoder.

    Args:
        source: the name of a KerasHub preset, a checkpoint's directory, `applications:NAME` for a network of
            `tf.keras.applications`, or a TF-Hub handle or its directory.
        half: `text` or `image`, of a checkpoint that reads both.
        weights: a file with the weights of a network of `tf.keras.applications`.
        untrained: random weights are wanted.
        pooling: `mean`, `cls` or `max`: how one vector is made of those of tokens, patches or cells; the checkpoint's
            own when None.
        max_length: how many tokens of a text are read (bytes, by TF-Hub models); the checkpoint's own when None.
        image_size: pictures have so many pixels in height and width; the network's own when None.
        num_frames: so many frames of a video are looked at; the network's own number when None.

    Raises:
        UsageError: a choice or a size that there is not, or arguments that contradict each other.
    """

    source: str
    half: str | None = None
    weights: str | None = None
    untrained: bool = False
    pooling: str | None = None
    max_length: int | None = None
    image_size: int | None = None
    num_frames: int | None = None

    def __post_init__(self):
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in (None, *choices):
                raise UsageError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}")
        for name, least in (("max_length", 3), ("image_size", 1), ("num_frames", 1)):
            if (value := getattr(self, name)) is not None and value < least:
                raise UsageError(f"{name} must be at least {least}, got {value}")
        if self.weights is not None and self.untrained:
            raise UsageError("weights and untrained contradict each other; leave one out")
        is_application = self.source.startswith(APPLICATIONS)
        if self.weights is not None and not is_application:
            raise UsageError(f"weights is for {APPLICATIONS}NAME; {self.source} brings its own, leave it out")
        if is_application and self.weights is None and not self.untrained:
            raise UsageError(
                f"{self.source} has no weights by itself: name their file with --weights FILE; random ones are taken "
                f"with --untrained only"
            )
        if self.num_frames is not None and self.kind != "hub":
            raise UsageError(f"num_frames is for TF-Hub models of clips; {self.source} is none, leave it out")
        if self.weights is not None and not Path(self.weights).is_file():
            raise DataError(f"{self.weights}: expected a file with the weights of {self.source}, found none")

    @property
    def kind(self) -> str:
        """What the source is: `application`, `hub` (a SavedModel), `checkpoint` (a directory or address) or `preset`.

        Raises:
            DataError: a path where there is none of these.
        """
        if self.source.startswith(APPLICATIONS):
            return "application"
        if self.source.startswith(_FETCHED_CHECKPOINTS):
            return "checkpoint"
        if "://" in self.source:
            return "hub"
        folder = Path(self.source)
        if (folder / "saved_model.pb").is_file():
            return "hub"
        if (folder / "config.json").is_file():
            return "checkpoint"
        if folder.exists() or len(folder.parts) > 1:
            raise DataError(
                f"{self.source}: expected a directory with config.json (a checkpoint) or saved_model.pb (a TF-Hub "
                f"model), found {'neither' if folder.is_dir() else 'a file' if folder.exists() else 'nothing'}"
            )
        return "preset"

    def refuse(self, what: str, *names: str) -> None:
        """Refuses options that mean nothing to a source.

        Args:
            what: says why.
            names: of the options.

        Raises:
            UsageError: one of them was given.
        """
        for name in names:
            if getattr(self, name) not in (None, False):
                raise UsageError(f"{self.source}: {what}, so --{name.replace('_', '-')} has no meaning; leave it out")
