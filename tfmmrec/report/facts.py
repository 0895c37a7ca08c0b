"""What a run is, in a few words: for the head of its report."""

from __future__ import annotations

from typing import Any

from tfmmrec.data.dataset import Dataset
from tfmmrec.runs import RunConfig


def dataset_name(dataset: Dataset) -> str:
    """The name of the dataset's folder; where it lies is nobody's business."""
    if dataset.root is not None:
        return dataset.root.name
    return "data in memory"


def run_facts(dataset: Dataset, config: RunConfig | None = None) -> dict[str, str]:
    """Label -> text: sizes of the dataset and, with a config, how the run was made.

    Args:
        dataset: what was evaluated on.
        config: of the run.
    """
    summary = dataset.summary()
    parts = [f"{count:,} {name}" for name, count in summary["num_interactions"].items()]
    facts = {
        "Candidates": f"{summary['num_candidates']:,}" + _cold(summary["num_cold_candidates"]),
        "Queries": f"{summary['num_queries']:,}",
        "Interactions": " · ".join(parts),
        "Content": _features(summary["candidate_features"]),
        "About queries": _features(summary["query_features"]),
    }
    if config is not None:
        facts |= {
            "Model": config.model,
            "Hyperparameters": _settings(config.hyperparameters) or "the model's own",
            "Training": _training(config),
            "Run": f"{config.run_id[:12]} · tfmmrec {config.version}",
        }
    return {label: text for label, text in facts.items() if text}


def _settings(values: dict[str, Any]) -> str:
    """As `--set` takes them."""
    texts = {
        name: f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
        for name, value in values.items()
    }
    return ", ".join(f"{name} = {text}" for name, text in texts.items())


def _cold(count: int) -> str:
    return f", {count:,} of them cold" if count else ""


def _features(kinds: dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())


def _training(config: RunConfig) -> str:
    options: dict[str, Any] = config.options
    words = [f"{config.num_epochs} epochs"]
    named = {"batch_size": "batch", "learning_rate": "learning rate", "weight_decay": "weight decay", "seed": "seed"}
    words += [
        f"{label} {options[name]:g}"
        for name, label in named.items()
        if options.get(name) not in (None, 0.0) or name == "seed"
    ]
    return " · ".join(words)
