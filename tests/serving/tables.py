"""Tables of candidates as files, for tests of what is given to an index."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfmmrec.data.dataset import Dataset
from tfmmrec.data.entities import Entities
from tfmmrec.data.splits import without


def first_candidates(dataset: Dataset, number: int) -> Dataset:
    """The dataset with its first candidates only, and without the interactions with others."""
    own = dataset.candidates
    features = {name: column[:number] for name, column in own.features.items()}
    display = {name: column[:number] for name, column in own.display.items()}
    entities = Entities(own.ids[:number], features, display, own.root, own.source)
    gone = np.arange(len(own)) >= number
    parts = {name: without(part, gone) for name, part in dataset.parts.items()}
    parts = {name: dataclasses.replace(part, num_candidates=number) for name, part in parts.items()}
    return dataclasses.replace(dataset, candidates=entities, cold_candidates=dataset.cold_candidates[:number], **parts)


def candidates_table(dataset: Dataset, rows: list[int]) -> pa.Table:
    """Rows of the candidates' table, as a dataset has it in a file."""
    own, schema = dataset.candidates, dataset.schema.candidates
    taken = pa.array(rows)
    columns = {schema.id: own.ids.take(taken)}
    for name in [*schema.features, *schema.display]:
        column = own.features.get(name, own.display.get(name))
        named = schema.features[name].column or name if name in schema.features else name
        if isinstance(column, np.ndarray):
            values = column[rows]
            columns[named] = pa.array(values if values.ndim == 1 else values.tolist(), from_pandas=values.ndim == 1)
        else:
            columns[named] = column.take(taken)
    return pa.table(columns)


def write_candidates(path: Path, dataset: Dataset, rows: list[int], **changed: list) -> Path:
    """The same as a Parquet file, with other values of some columns."""
    table = candidates_table(dataset, rows)
    for name, values in changed.items():
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)
    return path
