import numpy as np

from tests.data.preparing import prepare, write_dataset
from tfmmrec.data import sharded_dataset
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.readers import FileTable
from tfmmrec.data.statistics import compute_statistics

LOG = 'path: "log-*.csv", split: {method: ratio, valid: 0.2, test: 0.2}'


def read(folder, pattern, *names):
    """Columns of all shards, in the order of their names."""
    found = {name: [] for name in names}
    for rows in FileTable(folder.resolve(), pattern, "own").rows(names):
        for name in names:
            found[name] += rows.column(name).to_pylist()
    return found


def test_counts_are_those_of_the_local_statistics(tmp_path):
    folder = write_dataset(tmp_path / "shop", LOG)
    _, counts, _ = prepare(folder, tmp_path / "to")
    local = load_dataset(folder)
    expected = compute_statistics(local)
    found = read(tmp_path / "to", "prepared/frequencies-*.tfrecord", "id", "count")
    assert [id.decode() for id in found["id"]] == expected.candidate_ids
    assert found["count"] == expected.candidate_counts
    for name, part in local.parts.items():
        assert counts.counts["candidates", name] == np.count_nonzero(part.counts())
    learned = local.train.counts() + local.valid.counts()
    assert counts.counts["candidates without train", ""] == np.count_nonzero(learned == 0)


def test_ids_without_a_table_get_one_in_their_order(tmp_path, monkeypatch):
    folder = write_dataset(tmp_path / "shop", LOG, tables=False)
    for module in ("sharded_dataset", "interaction_shards"):
        monkeypatch.setattr(f"tfmmrec.data.{module}.ROWS_PER_BLOCK", 10)
    assert sharded_dataset.ROWS_PER_BLOCK == 10
    prepare(folder, tmp_path / "to")
    local = load_dataset(folder)
    found = read(tmp_path / "to", "prepared/candidate_ids-*.tfrecord", "thing")["thing"]
    assert [id.decode() for id in found] == local.candidates.ids.to_pylist()
    found = read(tmp_path / "to", "prepared/query_ids-*.tfrecord", "user")["user"]
    assert [id.decode() for id in found] == local.queries.ids.to_pylist()
    counts = read(tmp_path / "to", "prepared/frequencies-*.tfrecord", "count")["count"]
    assert counts == local.train.counts().tolist()
    names = sorted(path.name for path in (tmp_path / "to" / "prepared").glob("candidate_ids*"))
    assert names == [f"candidate_ids-0000{number}-of-00003.tfrecord" for number in range(3)]
