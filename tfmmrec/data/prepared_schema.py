"""What a prepared dataset says of itself: ready-made parts in shards, its tables as they are."""

from __future__ import annotations

from typing import Any

import yaml

from tfmmrec.data.config import DEFAULT_NAME, parse_schema
from tfmmrec.data.example_shards import FOLDER
from tfmmrec.data.sharded_dataset import ShardedDataset
from tfmmrec.schema import InteractionsSchema

_HEAD = """\
# A dataset that pipelines/prepare_dataset.py has checked and parted into shards, from that of the fingerprint
# {fingerprint}
"""


def example_names(schema: InteractionsSchema) -> dict[str, str]:
    """What the shards call the columns of the interactions.

    Returns:
        "query", "candidate", "context NAME" for each feature, and those there are of "timestamp", "rating" and "weight"
        -> the name.
    """
    wanted = {"query": schema.query, "candidate": schema.candidate}
    wanted |= {f"context {name}": name for name in schema.features}
    wanted |= {role: role for role in ("timestamp", "rating", "weight") if getattr(schema, role)}
    names: dict[str, str] = {}
    for role, name in wanted.items():
        while name in names.values():
            name += "_"
        names[role] = name
    return names


def prepared_schema(dataset: ShardedDataset) -> dict[str, Any]:
    """The content of the prepared folder's `dataset.yaml`."""
    schema, log = dataset.schema, dataset.schema.interactions
    names = example_names(log)
    interactions: dict[str, Any] = {part: f"{FOLDER}/{part}-*.tfrecord" for part in dataset.parts}
    interactions |= {
        role: names[role] for role in ("query", "candidate", "timestamp", "rating", "weight") if role in names
    }
    features = {}
    for name, feature in log.features.items():
        column = names[f"context {name}"]
        features[name] = {"kind": feature.kind} | ({} if column == name else {"column": column})
    if features:
        interactions["features"] = features
    if log.seed:
        interactions["seed"] = log.seed
    content: dict[str, Any] = {"interactions": interactions}
    for side, own in (("candidates", "candidate"), ("queries", "query")):
        described = getattr(schema, side).model_dump(mode="json", exclude_defaults=True)
        if not dataset.is_fixed(side):
            described |= {"path": f"{FOLDER}/{own}_ids-*.tfrecord", "id": getattr(log, own)}
        content[side] = described
    return content


def prepared_yaml(dataset: ShardedDataset, fingerprint: str) -> str:
    """The text of the prepared folder's `dataset.yaml`; `fingerprint` is that of the data it was made of."""
    content = prepared_schema(dataset)
    parse_schema(content, DEFAULT_NAME)
    body = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    return _HEAD.format(fingerprint=fingerprint) + body
