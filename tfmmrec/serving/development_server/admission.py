"""How many requests may be under way at once, and that none is taken while the server drains."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from tfmmrec.serving.development_server.request_error import RequestError


class Admission:
    """Counts the requests under way.

    Args:
        max_concurrency: as many are let in at once; the others are refused rather than left to wait.
    """

    def __init__(self, max_concurrency: int):
        self._max = max_concurrency
        self._condition = threading.Condition()
        self._is_open = True
        self._num_inside = 0
        self.num_answered = 0
        self.num_refused = 0

    @contextlib.contextmanager
    def enter(self) -> Iterator[None]:
        """A block in which a request is answered.

        Raises:
            RequestError: UNAVAILABLE, where there are too many or the server is shutting down.
        """
        with self._condition:
            if not self._is_open or self._num_inside >= self._max:
                self.num_refused += 1
                why = f"{self._max} requests are under way already" if self._is_open else "the server is shutting down"
                raise RequestError("UNAVAILABLE", f"{why}; try again")
            self._num_inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._num_inside -= 1
                self.num_answered += 1
                self._condition.notify_all()

    def drain(self, seconds: float) -> bool:
        """Lets nobody in any more and waits for those inside, up to `seconds`; returns whether all have left."""
        end = time.monotonic() + seconds
        with self._condition:
            self._is_open = False
            return self._condition.wait_for(lambda: not self._num_inside, max(end - time.monotonic(), 0.0))
