"""Asking again after a transient error, and giving up in time."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tfmmrec.serving.server_error import ServerError
from tfmmrec.types import UsageError

_Answer = TypeVar("_Answer")
_MOST_DOUBLED = 60
_LONGER = "; a longer deadline (deadline_seconds, of `tfmmrec query` --deadline) waits for it"


@dataclass(frozen=True)
class Retries:
    """How often a request is sent, and how long the pauses between are.

    The pause after the n-th attempt is drawn uniformly from 0 to min(`longest_seconds`, `first_seconds` · 2^(n-1)), so
    that clients which failed together do not come back together (Brooker 2015, "Exponential Backoff And Jitter").

    A server that says it is loading a version is asked again until the deadline, however many attempts these are.

    Attributes:
        attempts: at most so many, those that found it loading aside; 1 asks once, whatever it says.
        first_seconds: the longest first pause.
        longest_seconds: the longest of all.
    """

    attempts: int = 6
    first_seconds: float = 0.1
    longest_seconds: float = 2.0

    def __post_init__(self):
        if self.attempts < 1:
            raise UsageError(f"attempts must be at least 1, got {self.attempts}")
        if not 0 <= self.first_seconds <= self.longest_seconds:
            raise UsageError(
                f"pauses must not be negative, nor begin above the longest: got {self.first_seconds} to "
                f"{self.longest_seconds} seconds"
            )

    def call(
        self,
        ask: Callable[[float], _Answer],
        deadline_seconds: float,
        address: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> _Answer:
        """Asks until there is an answer, an error that stays, or no time left.

        Args:
            ask: gets the seconds that are left, and raises `ServerError` where it fails.
            deadline_seconds: for all attempts and pauses together.
            address: of the server, for messages.
            sleep, clock, draw: of a pause, in seconds, and of a number in 0 to 1.

        Raises:
            ServerError: the last attempt's, or DEADLINE_EXCEEDED with its words.
        """
        end, left, loading = clock() + deadline_seconds, self.attempts, None
        for attempt in itertools.count(1):
            try:
                return ask(max(end - clock(), 1e-3))
            except ServerError as error:
                left -= self.attempts == 1 or not error.is_loading
                is_cut_off = loading is not None and error.code == "DEADLINE_EXCEEDED"
                if not is_cut_off and (not error.is_transient or not left):
                    raise
                loading = error if error.is_loading else loading if is_cut_off else None
                pause = draw() * min(self.longest_seconds, self.first_seconds * 2 ** min(attempt - 1, _MOST_DOUBLED))
                if is_cut_off or clock() + pause >= end:
                    said = (loading or error).message + (_LONGER if loading else "")
                    words = f"no answer within {deadline_seconds:g} s; the last of {attempt} attempts: {said}"
                    raise ServerError("DEADLINE_EXCEEDED", words, address) from error
            sleep(pause)
        raise AssertionError("unreachable: an attempt returns or raises")
