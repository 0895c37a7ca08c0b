"""From a model to the next version under a name: written where no server looks, blessed, and only then renamed.

    BASE/NAME/.version.export-abc123/written/model    while it is written and blessed

Models are written and blessed side by side, and nobody waits for that: a rollback goes ahead meanwhile. Where another
version is in service once a model has been blessed, it is blessed again, so that each is compared with the version that
it follows. Whoever is killed or finds the disk full leaves the version in service as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfmmrec.data.dataset import Dataset
from tfmmrec.runs import Run, load_run
from tfmmrec.serving.blessing import Blessing, bless, write_blessing
from tfmmrec.serving.evaluation_queries import EVALUATION_FILE, EvaluationQueries
from tfmmrec.serving.export import export_run
from tfmmrec.serving.policy import Policy
from tfmmrec.serving.server_files import write_server_files
from tfmmrec.serving.versions import STAGED, Versions
from tfmmrec.staging import hidden_folder
from tfmmrec.types import UsageError

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pushed:
    """What became of a push.

    Attributes:
        outcome: "published", "forced" (published though a check fell short) or "refused".
        version: its number; None where it was refused.
        path: the version's folder; None where it was refused.
        blessing: the checks, and what was measured.
        record: the event as it stands in the history.
        notes: what people should know of files beside the models that were left as they are.
    """

    outcome: str
    version: int | None
    path: Path | None
    blessing: Blessing
    record: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    @property
    def is_published(self) -> bool:
        """Whether there is a new version."""
        return self.version is not None


def push_model(
    write: Callable[[Path], None],
    to: str | Path,
    policy: Policy | None = None,
    force: bool = False,
    queries: EvaluationQueries | None = None,
    origin: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    keep_evaluation: bool = True,
    follows: int | None = None,
) -> Pushed:
    """Publishes a model under a name if it proves itself.

    Args:
        write: writes the model into a folder that does not exist yet, whose parent does; as `export_run(run, folder)`.
        to: BASE/NAME.
        policy: what it must be; the default one when None.
        force: publish it though checks fall short, and record that.
        queries: what it is measured with; those that it carries (`read_evaluation`) when None.
        origin: where the model comes from, such as {"run": "runs/first"}; recorded.
        progress: called with (what, done, in all).
        keep_evaluation: False takes `evaluation.parquet` out of what is published.
        follows: the version that the model was made from, which must still be in service then; None where it was made
            from no version.

    Returns:
        What became of it. A refusal is no error: see `Pushed.is_published`.

    Raises:
        UsageError: the name cannot be one, nothing can be written there, there are no queries to measure it with, or
            another version than `follows` came into service.
        DataError: what `write` wrote is no export.
    """
    versions = Versions(to)
    with hidden_folder(versions.folder / STAGED) as staging:
        written = staging / "written" / "model"
        written.parent.mkdir()
        _tell(progress, "writing the model")
        write(written)
        while True:
            before = versions.in_service
            check_follows(versions, follows)
            in_service = None if before is None else versions.path(before)
            blessing = bless(written, queries, policy or Policy(), in_service, progress)  # takes long: without the lock
            with versions.locked():
                if versions.in_service == before:
                    return _publish(versions, written, blessing, before, force, origin, keep_evaluation)


def check_follows(versions: Versions, follows: int | None) -> None:
    """Looks whether the version that a model is made from is still in service; None is none.

    Raises:
        UsageError: another one is.
    """
    if follows is not None and versions.in_service != follows:
        raise UsageError(
            f"{versions.shown}: version {versions.in_service} came into service while this one was made from version "
            f"{follows}, whose changes it would undo; run the command again"
        )


def push_run(
    run: str | Path | Run,
    to: str | Path,
    policy: Policy | None = None,
    force: bool = False,
    dataset: str | Path | Dataset | None = None,
    retriever: str | Path | Run | None = None,
    progress: Progress | None = None,
    keep_evaluation: bool = True,
    **export: Any,
) -> Pushed:
    """Exports a run and publishes it under a name if it proves itself.

    Args:
        run: as of `export_run`, like `dataset` and `retriever`.
        to: as of `push_model`, like all others.
        export: further arguments of `export_run`.
    """
    versions = Versions(to)
    origin = {"run": _place(run), "dataset": _place(dataset), "retriever": _place(retriever)}
    run, retriever = _loaded(run), None if retriever is None else _loaded(retriever)  # before a folder is made
    data = dataset if isinstance(dataset, Dataset) else run.load_dataset(dataset)

    def write(folder: Path) -> None:
        export_run(run, folder, data, progress, retriever=retriever, **export)

    return push_model(write, versions.shown, policy, force, None, origin, progress, keep_evaluation)


def _tell(progress: Progress | None, what: str) -> None:
    if progress is not None:
        progress(what, 0, 0)


def _loaded(run: str | Path | Run) -> Run:
    return run if isinstance(run, Run) else load_run(run)


def _place(what: Any) -> str | None:
    """A run's or a dataset's folder, as text."""
    if isinstance(what, (Run, Dataset)):
        what = what.path if isinstance(what, Run) else what.root
    return None if what is None else os.path.realpath(what)


def _publish(versions, written, blessing, before, force, origin, keep_evaluation) -> Pushed:
    outcome = "published" if blessing.passed else "forced" if force else "refused"
    version = None if outcome == "refused" else versions.next()
    what = {"outcome": outcome, "version": version, "before": before, "origin": dict(origin or {})}
    if outcome == "refused":
        record = versions.record("push", **what, **blessing.described())
        return Pushed(outcome, None, None, blessing, record)
    if not keep_evaluation:
        (written / EVALUATION_FILE).unlink(missing_ok=True)
    write_blessing(written, what | blessing.described())
    path = versions.publish(written, version)
    notes: list[str] = []  # what fails from here on does not make it unpublished
    try:
        what = versions.record("push", **what, **blessing.described())
    except UsageError as error:
        notes.append(str(error))
    try:
        notes += write_server_files(versions.folder.parent)
    except OSError as error:
        notes.append(f"{versions.folder.parent}: the server's files cannot be written ({error.strerror})")
    return Pushed(outcome, version, path, blessing, what, notes)
