import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.reusable import write_image_model, write_text_model
from tfmmrec.bulk_embedding import embed_catalogue
from tfmmrec.catalogue_shards import CatalogueShards, ShardedEmbedding
from tfmmrec.data.dataset import load_dataset
from tfmmrec.types import UsageError

NUM_ROWS = 200
CONFIG = """\
interactions: {train: log.csv, query: query, candidate: candidate}
candidates: {path: candidates.csv, id: id, features: {FEATURE: {kind: KIND}}}
"""


def write_catalogue(folder, feature, kind, values):
    """A dataset's folder with one feature of its candidates, whose ids are c0, c1, ..."""
    folder.mkdir(exist_ok=True)
    (folder / "dataset.yaml").write_text(CONFIG.replace("FEATURE", feature).replace("KIND", kind))
    (folder / "log.csv").write_text("query,candidate\nq,c0\nr,c1\n")
    rows = [f"c{row},{value}\n" for row, value in enumerate(values)]
    (folder / "candidates.csv").write_text(f"id,{feature}\n{''.join(rows)}")
    return folder


def text_of(row):
    """Every tenth candidate has the text of one far ahead of it, and rows 7 and 190 have none."""
    return "" if row in (7, 190) else f"text {row % 100 if row % 10 == 0 else row}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_catalogue(folder / "shop", "title", "text", map(text_of, range(NUM_ROWS)))
    write_text_model(folder / "encoder")
    return folder


def task_of(folder, root, **changes):
    return ShardedEmbedding(str(folder / "shop"), str(folder / "encoder"), root=str(root), rows_per_shard=64, **changes)


def rows_by_shard(shards):
    """Shard -> the first rows of its contents, as a pipeline finds them."""
    first_rows = {}
    for shard in range(shards.num_shards):
        for key, row in shards.read(shard).first_rows.items():
            first_rows[key] = min(row, first_rows.get(key, row))
    found = {}
    for row in first_rows.values():
        found.setdefault(shards.shard_of(row), []).append(row)
    return found


def stored(folder):
    """Key -> what a store has of it, from its files. No key is there twice."""
    parts = [
        [np.load(part / f"{name}.npy") for name in ("keys", "vectors", "present")] for part in folder.glob("part-*")
    ]
    found = {key: (row.tobytes(), bool(there)) for part in parts for key, row, there in zip(*part, strict=True)}
    assert len(found) == sum(len(keys) for keys, _, _ in parts)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_shards_are_the_store_of_the_local_command_byte_for_byte(folder, tmp_path, dtype):
    shards = CatalogueShards(task_of(folder, tmp_path / "shards", dtype=dtype))
    todo = rows_by_shard(shards)
    assert shards.num_shards == 4 and sorted(todo) == [0, 1, 2, 3]
    encoded = [shards.encode(rows[::-1]) for _, rows in sorted(todo.items(), reverse=True)]
    different = {text_of(row) for row in range(NUM_ROWS)}
    assert sum(encoded) == len(different) == NUM_ROWS - 10  # c100 to c180 have those of c0 to c80, and none is one
    local = embed_catalogue(load_dataset(folder / "shop"), folder / "encoder", root=tmp_path / "local", dtype=dtype)
    assert local.store.name == shards.store.folder.name
    assert stored(shards.store.folder) == stored(local.store)


def test_a_finished_shard_is_not_done_again(folder, tmp_path):
    task = task_of(folder, tmp_path)
    before = CatalogueShards(task)
    todo = rows_by_shard(before)
    assert before.encode(todo[1]) == len(todo[1])
    after = CatalogueShards(task)  # of another process, after a kill
    assert rows_by_shard(after) == {shard: rows for shard, rows in todo.items() if shard != 1}
    assert after.encode(todo[1]) == 0
    assert len(list(after.store.folder.glob("part-*"))) == 1


def test_what_another_process_has_done_meanwhile_is_not_done_again(folder, tmp_path):
    one, other = (CatalogueShards(task_of(folder, tmp_path)) for _ in range(2))
    rows = rows_by_shard(one)[0]
    assert (other.encode(rows[:40]), one.encode(rows)) == (40, len(rows) - 40)


def test_threads_share_what_was_loaded(folder, tmp_path):
    shards = CatalogueShards(task_of(folder, tmp_path / "threads"))
    with ThreadPoolExecutor(4) as pool:
        encoded = list(pool.map(shards.encode, rows_by_shard(shards).values()))
    assert sum(encoded) == len(stored(shards.store.folder)) == len(shards.store) == NUM_ROWS - 10


def test_unreadable_pictures_come_with_a_reason(tmp_path):
    picture = tf.io.encode_png(np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)).numpy()
    paths = ["good.png", "cut.png", "", "none.png", "text.png", "good.png"]
    shop = write_catalogue(tmp_path / "shop", "photo", "image", paths)
    (shop / "good.png").write_bytes(picture)
    (shop / "cut.png").write_bytes(picture[: len(picture) // 2])
    (shop / "text.png").write_text("no picture")
    encoder = write_image_model(tmp_path / "encoder")
    found = CatalogueShards(ShardedEmbedding(str(shop), encoder, root=str(tmp_path / "store"))).read(0)
    assert (found.num_rows, found.num_empty, sorted(found.first_rows.values())) == (6, 4, [0, 1])
    assert [(row["id"], row["feature"]) for row in found.unreadable] == [(id, "photo") for id in ("c1", "c3", "c4")]
    cut, missing, text = (row["reason"] for row in found.unreadable)
    assert "damaged picture: " in cut and missing == "missing picture file: 'none.png'"
    assert text == "not a picture: 10 bytes starting with b'no pictu'"


def test_paths_hold_on_other_workers(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFMMREC_STORE", str(tmp_path / "kept"))
    task = ShardedEmbedding("shop", "encoder", config="other.yaml", dtype="float16", rows_per_shard=128).absolute()
    expected = [str(tmp_path / name) for name in ("shop", "encoder", "other.yaml", "kept")]
    assert [task.dataset, task.encoder, task.config, task.root] == expected
    assert (task.dtype, task.rows_per_shard, task.feature) == ("float16", 128, None)
    handle = "https://tfhub.dev/google/universal-sentence-encoder/4"
    assert dataclasses.replace(task, encoder=handle).absolute() == dataclasses.replace(task, encoder=handle)
    assert Path(task.absolute().root) == tmp_path / "kept"


@pytest.mark.parametrize("rows", [0, 100, 8192])
def test_a_shard_is_full_batches(rows):
    with pytest.raises(UsageError, match=f"must be a multiple of 64, .* and at most 4096, got {rows}"):
        ShardedEmbedding("shop", "encoder", rows_per_shard=rows)
