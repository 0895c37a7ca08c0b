import numpy as np
import pytest

from tests.data.preparing import assert_same_dataset, prepare, write_dataset
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.interaction_shards import Known, draw_cold, merged_chosen, merged_rows
from tfmmrec.data.prepared_folder import finish_folder
from tfmmrec.data.splits import choose_cold

WHOLE = 'path: "log-*.csv"'
READY = "train: log-0.csv, valid: log-1.csv, test: log-2.csv"
SPLITS = {
    "ratio": f"{WHOLE}, split: {{method: ratio, valid: 0.1, test: 0.2}}, seed: 3",
    "last": f"{WHOLE}, split: {{method: leave_one_out}}",
    "time": f"{WHOLE}, split: {{method: time, valid: 0.2, test: 0.1}}",
    "no validation": f"{WHOLE}, split: {{method: time, valid: 0, test: 0.3}}, cold_candidates: 0.1",
    "cold": f"{WHOLE}, split: {{method: leave_one_out}}, cold_candidates: 0.2, seed: 1",
    "ready-made": READY,
    "ready-made, cold": f"{READY}, cold_candidates: 0.1",
}


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("tables", [True, False])
def test_shards_are_the_local_split_row_by_row(tmp_path, name, tables):
    folder = write_dataset(tmp_path / "shop", SPLITS[name], tables)
    (tmp_path / "to").mkdir()
    dataset, counts, _ = prepare(folder, tmp_path / "to")
    assert counts.faults == ()
    finish_folder(dataset, counts, "shop")
    local, prepared = load_dataset(folder), load_dataset(tmp_path / "to")
    assert_same_dataset(local, prepared)
    assert len(local.candidates) == (24 if tables else 25)
    if "cold" in SPLITS[name]:
        assert (prepared.cold_candidates >= local.cold_candidates).all()
    else:
        np.testing.assert_array_equal(prepared.cold_candidates, local.cold_candidates)


@pytest.mark.parametrize("method", ["ratio", "leave_one_out"])
def test_without_times_the_order_of_the_files_counts(tmp_path, method):
    folder = write_dataset(tmp_path / "shop", f"{WHOLE}, split: {{method: {method}, valid: 0.2, test: 0.2}}")
    yaml = folder / "dataset.yaml"
    yaml.write_text(yaml.read_text().replace("timestamp: time, ", ""))
    (tmp_path / "to").mkdir()
    dataset, counts, _ = prepare(folder, tmp_path / "to", queries_per_shard=7)
    finish_folder(dataset, counts, "shop")
    assert_same_dataset(load_dataset(folder), load_dataset(tmp_path / "to"))


@pytest.mark.parametrize("step", [1, 0.25])
def test_times_are_kept_to_the_last_bit(tmp_path, step):
    folder = tmp_path / "shop"
    folder.mkdir()
    times = [f"{1.7e9 + step * row * (1 if row % 2 else -1)!r}" for row in range(20)]
    (folder / "log.csv").write_text("q,c,t\n" + "".join(f"q{row % 4},c{row},{t}\n" for row, t in enumerate(times)))
    (folder / "dataset.yaml").write_text(
        "interactions: {path: log.csv, query: q, candidate: c, timestamp: t, split: {method: leave_one_out}}"
    )
    dataset, counts, _ = prepare(folder, tmp_path / "to")
    finish_folder(dataset, counts, "shop")
    prepared = load_dataset(tmp_path / "to")
    assert_same_dataset(load_dataset(folder), prepared)
    assert np.ptp(prepared.train.columns["timestamp"]) < 40


def test_cold_candidates_are_the_local_draw():
    counts = np.random.default_rng(0).integers(0, 3, 100)
    rows = np.flatnonzero(counts)
    bits, fault = draw_cold([rows[30:], rows[:30]], 100, 0.2, 5)
    cold = np.unpackbits(np.frombuffer(bits, np.uint8), count=100).astype(bool)
    np.testing.assert_array_equal(cold, choose_cold(counts, 0.2, 5))
    assert fault == ""
    assert draw_cold([], 100, 0.2, 5) == (bytes(13), ""), "without any, it is the log that is wrong"
    bits, fault = draw_cold([np.arange(3)], 100, 0.2, 5)
    assert "asks for 20 of 100 candidates, but only 3 have interactions" in fault
    assert Known.of({}, {-1: 4}, {-1: 100}, [], None, None, (bits, fault)).faults == (fault,)


def test_choices_are_summed():
    one = (np.array([2, 5]), np.array([[1, 2], [0, 0], [3, 0]]))
    other = (np.array([1, 5]), np.array([[0, 7], [1, 0], [0, 1]]))
    rows, counts = merged_chosen([one, other])
    assert rows.tolist() == [1, 2, 5]
    assert counts.tolist() == [[0, 1, 9], [1, 0, 0], [0, 3, 1]]
    assert merged_rows([np.array([3, 1]), np.array([3])]).tolist() == [1, 3]
