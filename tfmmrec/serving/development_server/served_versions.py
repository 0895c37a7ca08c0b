"""Which versions of a model are served: the newest one that loads, as TensorFlow Serving's default policy has it.

A newer one is loaded and warmed up while the older serves; from then on new requests go to it, and the older is closed
after its last answer. A version that cannot be loaded is reported, and tried again when its files have changed: it may
have been half copied. One that has left the folder by the time it is loaded (a rollback) never begins to serve.
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
from tfmmrec.serving.server_error import LOADING

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
            RequestError: there is no such model or version; UNAVAILABLE while the first is being loaded, so that
                clients come back, as they do to a stock server, which does not listen before.
        """
        if label:
            raise RequestError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        with self._lock:
            version = self._current if name == self.name else None
            if version is None or number not in (None, version.number) or not version.hold():
                self._refuse_for_now(name, number)
                asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
                here = "" if name == self.name else f"; the model here is {self.name}"
                raise RequestError("NOT_FOUND", f"Servable not found for request: {asked}{here}")
        with held(version):
            yield version

    def _refuse_for_now(self, name: str, number: int | None) -> None:
        if name != self.name or self._current is not None:
            return
        for state in self._states.values():
            if state.state == "LOADING" and number in (None, state.number):
                raise RequestError("UNAVAILABLE", f"version {state.number} of {name} {LOADING}; try again")

    def poll(self) -> None:
        """Looks into the folder once: loads what is newest, and retires what is not."""
        self._forget_closed()
        tried: set[int] = set()
        while (numbers := self._look()) is not None:  # again after each load: it takes long, and the folder changes
            newest = max(numbers - tried, default=None)
            if newest is None:
                self._replace(None)
            if newest in (None, self.current) or self._load(newest):
                break
            tried.add(newest)
        self._forget_closed()
        if numbers is None:
            return
        with self._lock:
            self._states = {
                number: state for number, state in self._states.items() if number in numbers or state.state != "END"
            }

    def close(self) -> None:
        """Retires what is served; what is under way is answered."""
        self._replace(None)
        self._forget_closed()

    def _look(self) -> set[int] | None:
        try:
            numbers = self._versions()
        except OSError as error:
            self._report(f"{self.folder} cannot be read, so what is served stays: {error.strerror or error}")
            return None
        self._broken = {number: seen for number, seen in self._broken.items() if number in numbers}
        return numbers

    def _versions(self) -> set[int]:
        with os.scandir(self.folder) as entries:
            return {int(entry.name) for entry in entries if _NUMBER.fullmatch(entry.name) and entry.is_dir()}

    def _is_there(self, number: int) -> bool:
        try:
            return number in self._versions()
        except OSError:
            return False

    def _load(self, number: int) -> bool:
        folder = self._path(number)
        seen = _files(folder)
        if self._broken.get(number) == seen:
            return False
        self._set(number, "LOADING")
        self._report(f"Loading version {number} of {self.name} ...")
        try:
            version, num_warm = _warm_version(number, folder)
        except Exception as error:  # a garbled file can raise anything on its way through parsers and importers
            _LOG.debug("version %d", number, exc_info=True)
            if not self._is_there(number):
                return self._drop(number)
            self._broken[number] = seen
            words = error.message if isinstance(error, RequestError) else from_tensorflow(error).message
            self._set(number, "END", words)
            self._report(f"Version {number} of {self.name} cannot be loaded{self._stays()}: {words}")
            return False
        if not self._is_there(number):
            version.retire()
            del version  # or its memory would stay
            return self._drop(number)
        self._broken.pop(number, None)
        self._replace(version)
        self._report(f"Version {number} of {self.name} is served; {num_warm} warmup requests answered")
        return True

    def _drop(self, number: int) -> bool:
        """What was withdrawn, or removed, while it was loaded must not begin to serve."""
        self._set(number, "END")
        self._report(f"Version {number} of {self.name} left while it was loaded, and is not served{self._stays()}")
        _give_memory_back()
        return False

    def _stays(self) -> str:
        return f"; version {self.current} stays" if self.current is not None else ""

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


def _warm_version(number: int, folder: str) -> tuple[ModelVersion, int]:
    """A version that has answered its warmup requests, and how many these were."""
    version = ModelVersion(number, folder)
    try:
        return version, warm_up(version)
    except BaseException:
        version.retire()
        raise


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
