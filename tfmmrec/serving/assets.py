"""What stands beside the graph of an exported model, in `assets.extra/`: TensorFlow Serving leaves it alone.

| file | what it holds |
|---|---|
| model.json | the code's version, the run's id, model and kind, candidates, index, signatures; its retriever |
| schema.json | the dataset's schema |
| signatures.json | each signature's inputs: dtype, shape, list length, whether required |
| size.json | every array by name, with its bytes |
| metrics.json | of the run, where it has been evaluated |
| candidates.parquet | candidate_id and the display columns, in the order of the index |
| contents.parquet | what the candidates' contents were, see `contents` |
| removed.json | of a refreshed export: ids that were removed, see `catalogue_changes` |
| evaluation.parquet | queries of the test to measure the model with, see `evaluation_queries`; may be left out |
| tf_serving_warmup_requests | see `warmup` |
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from tfmmrec.data.entities import Entities
from tfmmrec.data.media import is_binary
from tfmmrec.runs import Run
from tfmmrec.search.candidate_parts import CandidateParts
from tfmmrec.search.cascade import DEPTH
from tfmmrec.serving.contents import contents_of, write_contents
from tfmmrec.serving.paths import FORMAT, MODEL_FILE
from tfmmrec.serving.served_signatures import ServedSignatures


def write_assets(
    folder: Path, run: Run, candidates: Entities, served: ServedSignatures, retriever: Run | None = None
) -> None:
    """Writes `assets.extra/` of an exported model, warmup requests and evaluation aside.

    Args:
        folder: the exported model's.
        run: what was exported.
        candidates: the index's, in its order.
        served: what was saved.
        retriever: what finds the candidates of a ranking model.
    """
    extra = folder / "assets.extra"
    extra.mkdir(exist_ok=True)
    config = run.config
    about = {
        "format": FORMAT,
        "version": config.version,
        "run_id": config.run_id,
        "model": config.model,
        "kind": run.kind,
        "seed": config.options.get("seed", 0),
        "num_candidates": len(candidates),
        "dim": served.index.dim,
        **({"index": served.index_description} if served.index_description else {}),
        "signatures": list(served.signatures_to_save),
    }
    if retriever is not None:
        about["retriever"] = {"run_id": retriever.config.run_id, "model": retriever.config.model, "depth": DEPTH}
    write_json(folder / MODEL_FILE, about)
    write_json(extra / "signatures.json", served.description())
    write_json(extra / "size.json", sizes(served))
    (extra / "schema.json").write_text(config.data_schema.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if (run.path / "metrics.json").exists():
        shutil.copyfile(run.path / "metrics.json", extra / "metrics.json")
    pq.write_table(display_table(candidates), extra / "candidates.parquet")
    if isinstance(served.index, CandidateParts) and not len(served.index.parts.numpy()):
        return  # a ranking model alone that knows no candidates
    towers = [part.model.candidate_tower for part in (run, retriever) if part is not None]
    looked_at = {name for tower in towers for name in tower.encoders if name != "id"}
    write_contents(folder, contents_of(candidates, config.data_schema.candidates.features, sorted(looked_at)))


def sizes(served: ServedSignatures) -> dict[str, Any]:
    """The arrays under `variables/`: weights and index, each with shape, dtype and bytes, and the sum."""
    described = {group: {name: size_of(v) for name, v in arrays.items()} for group, arrays in served.arrays().items()}
    total = sum(entry["bytes"] for arrays in described.values() for entry in arrays.values())
    return described | {"total_bytes": total}


def display_table(candidates: Entities) -> pa.Table:
    """`candidate_id` and the display columns as strings; lists joined by commas; pictures by their
    paths, those given as bytes left out."""
    columns = {"candidate_id": candidates.ids}
    for name, column in candidates.display.items():
        if name not in columns and not is_binary(column):
            if _is_list(column.type):
                column = pc.binary_join(column.cast(pa.list_(pa.string())), ", ")
            columns[name] = column.cast(pa.large_string())
    return pa.table(columns)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def size_of(variable: tf.Variable) -> dict[str, Any]:
    """Shape, dtype and bytes of a variable."""
    array = variable.numpy()
    size = array.nbytes if variable.dtype != tf.string else int(np.sum([len(text) + 1 for text in array.flat]))
    return {"shape": list(array.shape), "dtype": variable.dtype.name, "bytes": size}


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file as people read it."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
