import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import tfmmrec
from tfmmrec.data.entities import Entities
from tfmmrec.schema import Schema
from tfmmrec.serving.assets import display_table, sizes, write_assets


def test_what_lies_beside_the_graph(served, song_run, song_dataset, tmp_path):
    (song_run.path / "metrics.json").write_text('{"split": "test"}')
    write_assets(tmp_path, song_run, song_dataset.candidates, served)
    extra = tmp_path / "assets.extra"
    about = json.loads((extra / "model.json").read_text())
    assert about["run_id"] == "run-7" and about["version"] == tfmmrec.__version__
    assert (about["num_candidates"], about["dim"], about["model"]) == (30, 8, "two_tower")
    assert Schema.model_validate_json((extra / "schema.json").read_text()) == song_dataset.schema
    assert json.loads((extra / "metrics.json").read_text()) == {"split": "test"}
    signatures = json.loads((extra / "signatures.json").read_text())
    history = signatures["serving_default"]["inputs"]["history"]
    assert history["list_length"] == 5 and not history["required"]
    assert signatures["score"]["required"] == ["query_id", "candidate_id"]
    table = pq.read_table(extra / "candidates.parquet")
    assert table.column_names == ["candidate_id", "title", "mood"]
    assert table["candidate_id"].to_pylist() == song_dataset.candidates.ids.to_pylist()


def test_every_array_has_its_size(served, song_dataset):
    found = sizes(served)
    vectors = found["index"]["vectors"]
    assert vectors == {"shape": [30, 8], "dtype": "float32", "bytes": 30 * 8 * 4}
    assert found["index"]["ids"]["bytes"] == sum(len(f"s{i}") + 1 for i in range(30))
    num_chosen = int((song_dataset.train.counts() > 0).sum())  # the others' ids are unknown
    assert found["weights"]["candidate_tower/encoders/id/embeddings"]["bytes"] == num_chosen * 8 * 4
    chosen = len(set(zip(song_dataset.train.query_rows(), song_dataset.train.indices, strict=True)))
    assert found["query_histories"]["candidates"] == {"shape": [chosen], "dtype": "int64", "bytes": chosen * 8}
    assert found["query_histories"]["starts"]["shape"] == [12 + 1]
    assert found["total_bytes"] == sum(
        int(np.prod(shape)) * size if size else entry["bytes"]
        for group in ("weights", "index", "query_histories", "content_sample")
        for entry in found[group].values()
        for shape, size in [(entry["shape"], {"float32": 4, "int32": 4, "int64": 8, "bool": 1}.get(entry["dtype"]))]
    )
    groups = ("weights", "index", "query_histories", "content_sample")
    assert len(served.variables) == sum(len(found[group]) for group in groups)


def test_display_columns_of_all_forms():
    columns = {
        "name": pa.array(["a", None]),
        "tags": pa.array([["x", "y"], None], pa.large_list(pa.large_string())),
        "photo": pa.array([b"1", None], pa.large_binary()),
        "path": pa.array(["p.png", ""]),
    }
    table = display_table(Entities(pa.array(["1", "2"]), display=columns))
    assert table.to_pylist() == [
        {"candidate_id": "1", "name": "a", "tags": "x, y", "path": "p.png"},
        {"candidate_id": "2", "name": None, "tags": None, "path": ""},
    ]
