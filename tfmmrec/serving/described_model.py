"""An exported model as its folder describes it: what answers need beside the signatures, wherever these run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from tfmmrec.schema import Schema
from tfmmrec.serving.contents import filter_entities, read_contents
from tfmmrec.serving.paths import is_export, model_folder
from tfmmrec.serving.request_filters import filter_features
from tfmmrec.types import DataError


class DescribedModel:
    """What `assets.extra/` tells of an exported model.

    Args:
        path: the folder with `saved_model.pb`.
        about: the content of `model.json`.
        schema: of the dataset it was trained on.
        signatures: the content of `signatures.json`.
        candidates: `candidate_id` and the display columns.
    """

    def __init__(self, path: str, about: dict, schema: Schema, signatures: dict, candidates: pa.Table):
        self.path = path
        self.about = about
        self.schema = schema
        self.signatures = signatures
        self.candidates = candidates

    def display_of(self, ids: Sequence[str]) -> list[dict[str, str | None]]:
        """The display columns of some candidates; empty for unknown ids."""
        rows = self.rows_of(ids)
        names = [name for name in self.candidates.column_names if name != "candidate_id"]
        wanted = pa.array([max(row, 0) for row in rows], pa.int64())
        shown = [self.candidates[name].take(wanted).to_pylist() for name in names]
        return [
            {name: column[place] for name, column in zip(names, shown, strict=True)} if row >= 0 else {}
            for place, row in enumerate(rows)
        ]

    def rows_of(self, ids: Sequence[str]) -> list[int]:
        """The rows of some ids in the index, -1 for unknown ones."""
        wanted = pa.array(list(ids), self.candidates["candidate_id"].type)
        found = pc.index_in(wanted, value_set=self.candidates["candidate_id"].combine_chunks())
        return [-1 if row is None else row for row in found.to_pylist()]

    @property
    def filter_features(self) -> list[str]:
        """The features that candidates can be filtered by."""
        return filter_features(self.schema.candidates.features)

    def absent_values(self, values: Sequence[str]) -> list[str]:
        """Those of some "feature=value" strings that no candidate has; none where the folder does not tell."""
        from tfmmrec.serving.index import filter_codes

        if not values:
            return []
        try:
            candidates = filter_entities(read_contents(self.path))
        except DataError:  # of a folder elsewhere, or of an older export
            return []
        known = set(filter_codes(candidates, self.schema.candidates.features)[1])
        return [value for value in values if value not in known]


def read_description(path: str | Path) -> DescribedModel:
    """Reads what `export_run` wrote beside the graph.

    Args:
        path: the export, or a folder of versions, of which the newest is taken.

    Raises:
        DataError: no such folder, or not written by `tfmmrec export`.
    """
    folder = model_folder(path)
    if not is_export(folder):
        raise DataError(
            f"{folder}: is a SavedModel, but `tfmmrec export` did not write it (no assets.extra/model.json); a query "
            "needs the schema that an export carries"
        )
    extra = os.path.join(folder, "assets.extra")
    try:
        about, signatures = read_extra(folder, "model.json"), read_extra(folder, "signatures.json")
        schema = Schema.model_validate(read_extra(folder, "schema.json"))
        with tf.io.gfile.GFile(os.path.join(extra, "candidates.parquet"), "rb") as file:
            candidates = pq.read_table(pa.BufferReader(file.read()))
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise DataError(f"{extra}: cannot be read; export the model again: {error}") from error
    return DescribedModel(folder, about, schema, signatures, candidates)


def read_extra(folder: str | Path, name: str) -> Any:
    """The content of one of an export's JSON files, such as "size.json"."""
    with tf.io.gfile.GFile(os.path.join(str(folder), "assets.extra", name)) as file:
        return json.loads(file.read())
