"""What a training's seconds, memory and network are made of: coefficients of what `scale.py` has measured."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls
from streaming import MIB

SIZES = {"queries": 100_000, "candidates": 10_000, "interactions": 1_000_000, "dim": 64, "batch": 1024, "workers": 1}
"""Of a run where nothing else is said."""

GIB = 1024 * MIB

FAR = {"queries": 10**8, "candidates": 10**8, "interactions": 10**9, "dim": 64, "batch": 65_536, "workers": 16}


def seconds_terms(r: dict) -> dict[str, float]:
    """What a step's seconds are made of."""
    share = r["batch"] / r["workers"]
    compared = r["unique"] * r["workers"]  # candidates of all workers
    rows = share + r["unique"]
    terms = {
        "a step": 1.0,
        "a row": share,
        "a product": share * compared * r["dim"],
        "a number of the batch's rows": rows * r["dim"],
        "a number of the tables": r["table_rows"] * r["dim"] if r["optimizer"] == "adam" else 0.0,
        "an exchange": float(r["workers"] > 1),
        "a byte sent": network_bytes(r) / r["workers"],
    }
    return terms


def memory_terms(r: dict) -> dict[str, float]:
    """What a process' bytes are made of."""
    entities = r["table_rows"]
    return {
        "a process": 1.0,
        "a process of a cluster": float(r["workers"] > 1),
        "a number of the tables": entities * r["dim"],
        "a number of the tables, moved whole": entities * r["dim"] if r["optimizer"] == "adam" else 0.0,
        "an id": entities,
        "an interaction": r["interactions"],
        "a number of the batch's products": r["batch"] / r["workers"] * r["unique"] * r["workers"],
    }


def network_bytes(r: dict) -> float:
    """What all workers together send in a step, by what they exchange: everyone gets what the others have.

    Candidates' vectors (and their gradients back) for the negatives, and the gradients of the rows of both tables.
    """
    if r["workers"] == 1:
        return 0.0
    rows = r["batch"] / r["workers"] + r["unique"]
    vectors = 2 * r["unique"] * r["dim"] * 4
    gradients = rows * (r["dim"] * 4 + 8)
    return r["workers"] * (r["workers"] - 1) * (vectors + gradients)


def fit(runs: list[dict], terms, measured) -> dict[str, float]:
    """Non-negative coefficients whose relative errors are least."""
    values = np.array([measured(r) for r in runs])
    matrix = np.array([list(terms(r).values()) for r in runs]) / values[:, None]
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-30)
    return dict(zip(terms(runs[0]), (nnls(matrix / scale, np.ones(len(runs)))[0] / scale).tolist(), strict=True))


def load_terms(r: dict) -> dict[str, float]:
    """What loading a dataset takes, in seconds."""
    return {"a dataset": 1.0, "an interaction": r["interactions"]}


QUANTITIES = {
    "seconds_a_step": (seconds_terms, lambda r: r["seconds_a_step"]),
    "memory_mib": (memory_terms, lambda r: r["memory_mib"] * MIB),
    "load_seconds": (load_terms, lambda r: r["load_seconds"]),
}

UNITS = {
    "seconds_a_step": "seconds of a step",
    "memory_mib": "bytes of memory",
    "load_seconds": "seconds of loading",
}
"""Of the coefficients."""


def report(runs: list[dict]) -> dict:
    """Coefficients, predictions beside what was measured, and what they say of the far sizes."""
    found: dict = {}
    for name, (terms, measured) in QUANTITIES.items():
        coefficients = fit([r for r in runs if not r["held_out"]], terms, measured)
        found[name] = {"coefficients": coefficients, "predicted over measured": {}}
        for r in runs:
            ratio = predict(coefficients, terms(r)) / measured(r)
            found[name]["predicted over measured"][label(r)] = round(ratio, 3)
        far = {}
        for optimizer in ("adam", "lazy_adam"):
            rows = FAR["queries"] + FAR["candidates"]
            sizes = FAR | {"optimizer": optimizer, "unique": FAR["batch"] // FAR["workers"], "table_rows": rows}
            far[optimizer] = predict(coefficients, terms(sizes))
        found[name]["far"] = far
    pairs = {label(r): round(network_bytes(r) / r["bytes_a_step"], 3) for r in runs if r["workers"] > 1}
    return found | {"network, computed over measured": pairs, "far sizes": FAR, "plan": plan(found)}


def plan(found: dict) -> dict[str, float]:
    """What the far sizes ask for, under lazy_adam."""
    seconds, memory = found["seconds_a_step"], found["memory_mib"]["coefficients"]
    numbers = (FAR["queries"] + FAR["candidates"]) * FAR["dim"]
    own = memory["a number of the tables"] * numbers + memory["an id"] * (numbers / FAR["dim"])
    steps = -(-FAR["interactions"] // FAR["batch"])
    sent = network_bytes(FAR | {"unique": FAR["batch"] // FAR["workers"]}) / FAR["workers"]
    return {
        "GiB of tables, with moments and ids": own / GIB,
        "parameter servers of 64 GiB, three quarters of it filled": -(-own // (48 * GIB)),
        "steps of an epoch": steps,
        "hours of an epoch, workers of one core": steps * seconds["far"]["lazy_adam"] / 3600,
        "MB a worker sends in a step": sent / 1e6,
        "MB a worker sends in a second": sent / 1e6 / seconds["far"]["lazy_adam"],
        "minutes to load the log": found["load_seconds"]["far"]["lazy_adam"] / 60,
    }


def markdown(runs: list[dict], found: dict) -> str:
    """Measured beside predicted, run by run, and the coefficients."""
    names = "run", "rows of tables", "ms a step", "predicted", "MiB", "predicted", "s to load", "predicted"
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for r in runs:
        seconds, memory, load = (found[name]["predicted over measured"][label(r)] for name in QUANTITIES)
        milli, mib = 1000 * r["seconds_a_step"], r["memory_mib"]
        own = f"{milli:,.1f} | {milli * seconds:,.1f} | {mib:,.0f} | {mib * memory:,.0f} | {r['load_seconds']:.1f}"
        lines.append(f"| {label(r)} | {r['table_rows']:,} | {own} | {r['load_seconds'] * load:.1f} |")
    for name in QUANTITIES:
        lines += ["", f"| {UNITS[name]} | coefficient |", "|---|---|"]
        lines += [f"| {term} | {value:.3g} |" for term, value in found[name]["coefficients"].items()]
    return "\n".join(lines) + "\n"


def predict(coefficients: dict[str, float], terms: dict[str, float]) -> float:
    """The sum of the terms."""
    return float(sum(coefficients[name] * value for name, value in terms.items()))


def label(r: dict) -> str:
    """What of a run differs from the usual sizes."""
    different = [f"{name}={r[name]:,}" for name in SIZES if r[name] != SIZES[name]]
    return " ".join([*different, r["optimizer"], *(["(held out)"] if r["held_out"] else [])])
