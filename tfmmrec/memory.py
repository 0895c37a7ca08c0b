"""What must be whole in memory says how much it needs before it takes it, and is refused where it does not fit."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tfmmrec.types import UsageError

_LOG = logging.getLogger(__name__)


def check_memory(what: str, need: int, max_bytes: int | None, remedy: str) -> None:
    """States a need for memory in the log, and refuses one that is too large.

    Args:
        what: needs it.
        need: bytes.
        max_bytes: refuse to need more; half of the memory that is available when None.
        remedy: what can be done instead, for the error.

    Raises:
        UsageError: it needs more.
    """
    limit = available_bytes() // 2 if max_bytes is None else max_bytes
    _LOG.info("%s needs %.1f MB of memory", what, need / 1e6)
    if need > limit:
        allowed = "max_bytes" if max_bytes is not None else "half of what is available"
        raise UsageError(
            f"{what} needs {need / 1e6:,.1f} MB of memory, and {allowed} is {limit / 1e6:,.1f} MB; {remedy}"
        )


def available_bytes() -> int:
    """Memory that a process could take now; all of the machine's where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
