"""Which versions of a model are served: the newest one that loads, as TensorFlow Serving's default policy has it.

A newer one is loaded and warmed up while the older serves; from then on new requests go to it, and the older is closed
after its last answer. A version that cannot be loaded is reported, and tried again when its files have changed: it may
have been half copied.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tfmmrec.serving.development_server.model_version import ModelVersion, held
from tfmmrec.serving.development_server.request_error import RequestError, from_tensorflow
from tfmmrec.serving.development_server.warm_up import warm_up

_NUMBER = re.compile(r"[0-9]{1,18}")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class VersionState:
    """What is to be told of a version.

    Attributes:
        number: of the version.
        state: LOADING, AVAILABLE, UNLOADING or END, as in TensorFlow Serving's ModelVersionStatus.
        error: why it could not be loaded, "" otherwise.
    """

    number: int
    state: str
    error: str = ""


class ServedVersions:
    """The versions of one model in a folder.

    Args:
        folder: whose entries with a number for a name are the versions.
        name: of the model, as requests give it.
        report: called with a line whenever something changes.
    """

    def __init__(self, folder: str, name: str, report: Callable[[str], None] = _LOG.info):
        self.folder = folder
        self.name = name
        self._report = _unfailing(report)
        self._lock = threading.Lock()
        self._states: dict[int, VersionState] = {}
        self._current: ModelVersion | None = None
        self._leaving: list[ModelVersion] = []
        self._broken: dict[int, object] = {}  # what the files of a version looked like when it could not be loaded

    @property
    def current(self) -> int | None:
        """The number of the version that answers, None where there is none."""
        version = self._current
        return None if version is None else version.number

    def states(self) -> list[VersionState]:
        """All versions that have been seen, the newest first."""
        with self._lock:
            return [self._states[number] for number in sorted(self._states, reverse=True)]

    @contextlib.contextmanager
    def lease(self, name: str, number: int | None = None, label: str | None = None) -> Iterator[ModelVersion]:
        """The version that answers a request; it stays in memory for as long as the block lasts.

        Raises:
            RequestError: there is no such model or version.
        """
        if label:
            raise RequestError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        with self._lock:
            version = self._current if name == self.name else None
            if version is None or number not in (None, version.number) or not version.hold():
                asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                raise RequestError("NOT_FOUND", f"Servable not found for request: {asked}")
        with held(version):
            yield version

    def poll(self) -> None:
        """Looks into the folder once: loads what is newest, and retires what is not."""
        self._forget_closed()
        try:
            numbers = self._versions()
        except OSError as error:
            self._report(f"{self.folder} cannot be read, so what is served stays: {error.strerror or error}")
            return
        self._broken = {number: seen for number, seen in self._broken.items() if number in numbers}
        for number in sorted(numbers, reverse=True):
            if self.current == number or self._load(number):
                break
        else:
            self._replace(None)
        self._forget_closed()
        with self._lock:
            self._states = {
                number: state for number, state in self._states.items() if number in numbers or state.state != "END"
            }

    def close(self) -> None:
        """Retires what is served; what is under way is answered."""
        self._replace(None)
        self._forget_closed()

    def _versions(self) -> set[int]:
        with os.scandir(self.folder) as entries:
            return {int(entry.name) for entry in entries if _NUMBER.fullmatch(entry.name) and entry.is_dir()}

    def _load(self, number: int) -> bool:
        folder = self._path(number)
        seen = _files(folder)
        if self._broken.get(number) == seen:
            return False
        self._set(number, "LOADING")
        try:
            version = ModelVersion(number, folder)
            try:
                num_warm = warm_up(version)
            except BaseException:
                version.retire()
                raise
        except Exception as error:  # a garbled file can raise anything on its way through parsers and importers
            self._broken[number] = seen
            words = error.message if isinstance(error, RequestError) else from_tensorflow(error).message
            self._set(number, "END", words)
            _LOG.debug("version %d", number, exc_info=True)
            stays = f"; version {self.current} stays" if self.current is not None else ""
            self._report(f"Version {number} of {self.name} cannot be loaded{stays}: {words}")
            return False
        self._broken.pop(number, None)
        self._replace(version)
        self._report(f"Version {number} of {self.name} is served; {num_warm} warmup requests answered")
        return True

    def _path(self, number: int) -> str:
        names = [name for name in os.listdir(self.folder) if _NUMBER.fullmatch(name) and int(name) == number]
        return os.path.join(self.folder, min(names, default=str(number)))  # 00000123 is version 123 too

    def _replace(self, version: ModelVersion | None) -> None:
        with self._lock:
            earlier, self._current = self._current, version
            if version is not None:
                self._states[version.number] = VersionState(version.number, "AVAILABLE")
            if earlier is not None:
                self._states[earlier.number] = VersionState(earlier.number, "UNLOADING")
                self._leaving.append(earlier)
        if earlier is not None:
            earlier.retire()
            self._report(f"Version {earlier.number} of {self.name} takes no more requests")

    def _forget_closed(self) -> None:
        with self._lock:
            numbers = [version.number for version in self._leaving if version.is_closed]
            for number in numbers:
                if self._states[number].state == "UNLOADING":
                    self._states[number] = VersionState(number, "END")
            self._leaving = [version for version in self._leaving if not version.is_closed]
        if numbers:
            _give_memory_back()

    def _set(self, number: int, state: str, error: str = "") -> None:
        with self._lock:
            self._states[number] = VersionState(number, state, error)


def _give_memory_back() -> None:
    """A graph's Python side is a web of references in circles, and the C library keeps what is freed."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # it has another name, or none, where it is not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _files(folder: str) -> tuple:
    """What the files of a version look like: their names, sizes and times."""
    found = []
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                stat = os.stat(os.path.join(path, name))
                found.append((os.path.join(path, name), stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


def _unfailing(report: Callable[[str], None]) -> Callable[[str], None]:
    """A report that never ends what it tells of: nobody may read the output any more."""

    def tell(text: str) -> None:
        try:
            report(text)
        except (Exception, SystemExit):
            _LOG.warning(text)

    return tell
