"""What the benchmarks have in common: the machine, the spread, and taking turns."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np


def spread(values) -> dict[str, float]:
    """Median, lowest and highest of the repeats' values."""
    values = np.asarray(values, np.float64)
    return {
        "median": round(float(np.median(values)), 4),
        "low": round(float(values.min()), 4),
        "high": round(float(values.max()), 4),
    }


def take_turns(ways: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, np.ndarray]:
    """Runs every way once a repeat, one after the other, so that what else the machine does falls on all alike.

    Args:
        ways: name -> a function that returns the seconds it took.
        repeats: how often; a first round, in which functions are traced and caches filled, is not counted.

    Returns:
        Name -> seconds `[repeats]`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            taken = way()
            if repeat:
                seconds[name].append(taken)
        print(f"repeat {repeat} of {repeats}", file=sys.stderr)
    return {name: np.array(taken) for name, taken in seconds.items()}


def machine() -> dict[str, str | int]:
    """Processor, cores, platform and versions."""
    import tfmmrec  # isort: skip  before TensorFlow
    import tensorflow as tf

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = {line.split(":")[1].strip() for line in lines if line.startswith("model name")}
    return {
        "processor": ", ".join(sorted(names)) or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "tfmmrec": tfmmrec.__version__,
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here too")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--seed", type=int, default=0)
    return arguments


def publish(found: dict, file: Path | None) -> None:
    """Prints the numbers, and writes them where they are wanted."""
    text = json.dumps(found, indent=2)
    print(text)
    if file:
        file.write_text(text + "\n", encoding="utf-8")
