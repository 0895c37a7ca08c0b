import json
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tfmmrec.data import feature_store
from tfmmrec.data.feature_store import FeatureStore, content_keys
from tfmmrec.types import DataError, UsageError

DIM = 3


def keys(*names):
    return content_keys(names)


def add(store, names, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(len(names), DIM)).astype(np.float32)
    present = np.arange(len(names)) % 2 == 0
    store.add(keys(*names), vectors, present)
    return vectors, present


def read(store, *names):
    vectors, present = np.full((len(names), DIM), np.nan, np.float32), np.zeros(len(names), bool)
    store.read(keys(*names), vectors, present)
    return vectors, present


def test_equal_contents_have_equal_keys():
    found = content_keys(["red", b"red", "Red", "", "größe"])
    assert found[0] == found[1] and len(set(found.tolist())) == 4
    assert found.dtype == "S16"


def test_what_was_added_is_read_in_any_order(tmp_path):
    store = FeatureStore(tmp_path / "store", "abc", DIM)
    first, present = add(store, ["a", "b", "c"])
    second, _ = add(store, ["d", "e"], seed=1)
    for opened in (store, FeatureStore(tmp_path / "store", "abc", DIM)):
        assert len(opened) == 5
        vectors, there = read(opened, "e", "a", "c", "a", "b")
        np.testing.assert_array_equal(vectors, [second[1], first[0], first[2], first[0], first[1]])
        assert there.tolist() == [False, True, True, True, False]


def test_many_parts_are_one_store(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "_RECENT", 10)  # so that old and recent keys are merged now and then
    store, expected = FeatureStore(tmp_path, "abc", DIM), {}
    for part in range(30):
        names = [f"{part} {place}" for place in range(1 + part % 5)]
        expected |= dict(zip(names, add(store, names, seed=part)[0], strict=True))
    names = np.random.default_rng(0).permutation(list(expected)).tolist()
    for opened in (store, FeatureStore(tmp_path, "abc", DIM)):
        np.testing.assert_array_equal(read(opened, *names)[0], [expected[name] for name in names])
        assert len(opened) == len(expected) and opened.places_of(keys("31 0"))[0] == -1


def test_what_is_missing_is_told_apart(tmp_path):
    store = FeatureStore(tmp_path, "abc", DIM)
    assert store.places_of(keys("a")).tolist() == [-1]
    add(store, ["a", "b"])
    assert (store.places_of(keys("b", "a changed", "a")) >= 0).tolist() == [True, False, True]
    with pytest.raises(UsageError, match="1 of 2 contents are not in the store; embed them first"):
        read(store, "a", "a changed")


def test_contents_that_could_not_be_read_are_counted(tmp_path):
    store = FeatureStore(tmp_path, "abc", DIM)
    add(store, ["a", "b", "c"])
    add(store, ["d", "e"], seed=1)
    assert store.count_absent(keys("a", "b", "b", "d", "e")) == 3
    assert store.count_absent(keys("a", "c")) == 0


def test_half_precision_takes_half_of_the_disk(tmp_path):
    names = [str(number) for number in range(1000)]
    for dtype in ("float32", "float16"):
        add(FeatureStore(tmp_path / dtype, "abc", DIM, dtype), names)
    sizes = [(tmp_path / dtype / "part-000000" / "vectors.npy").stat().st_size for dtype in ("float32", "float16")]
    assert sizes[0] - sizes[1] == 1000 * DIM * 2
    whole, half = (
        read(FeatureStore(tmp_path / dtype, "abc", DIM, dtype), *names)[0] for dtype in ("float32", "float16")
    )
    np.testing.assert_allclose(half, whole, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("other", DIM), "its vectors have encoder 'abc', expected 'other'; name another folder, or remove this one"),
        (("abc", 4), "its vectors have dim 3, expected 4"),
        (("abc", DIM, "float16"), "its vectors have dtype 'float32', expected 'float16'"),
    ],
)
def test_vectors_of_another_encoder_are_refused(tmp_path, arguments, message):
    FeatureStore(tmp_path, "abc", DIM)
    with pytest.raises(DataError, match=message):
        FeatureStore(tmp_path, *arguments)


def test_a_description_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "store.json").write_text("{")
    with pytest.raises(DataError, match="store.json: not readable as JSON .*; remove .* and fill it again"):
        FeatureStore(tmp_path, "abc", DIM)


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(UsageError, match="must be float32 or float16, got 'int8'"):
        FeatureStore(tmp_path, "abc", DIM, "int8")
    store = FeatureStore(tmp_path, "abc", DIM)
    with pytest.raises(UsageError, match=r"a part of 2 keys needs vectors \[2, 3\] and as many present"):
        store.add(keys("a", "b"), np.zeros((2, 4)), np.ones(2, bool))


def test_numbers_beyond_half_precision_are_refused(tmp_path):
    store = FeatureStore(tmp_path, "abc", DIM, "float16")
    with pytest.raises(UsageError, match="float16 cannot hold .the largest is 70000.; use store_dtype=float32"):
        store.add(keys("a"), np.array([[1.0, -7e4, 0.0]]), np.ones(1, bool))
    assert len(store) == 0 and not list(tmp_path.glob(".unfinished-*"))


def test_others_may_read_it(tmp_path):
    add(FeatureStore(tmp_path / "store", "abc", DIM), ["a"])
    for path in (tmp_path / "store").rglob("*"):
        assert path.stat().st_mode & 0o444 == 0o444, path


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written .*; name another place: export TFMMREC_STORE=FOLDER"):
        FeatureStore(tmp_path / "file" / "store", "abc", DIM)


def test_two_that_add_at_once_lose_nothing(tmp_path):
    one, other = FeatureStore(tmp_path, "abc", DIM), FeatureStore(tmp_path, "abc", DIM)
    first, _ = add(one, ["a"])
    second, _ = add(other, ["b"], seed=1)  # it does not know of the first
    np.testing.assert_array_equal(read(FeatureStore(tmp_path, "abc", DIM), "a", "b")[0], [first[0], second[0]])
    assert sorted(path.name for path in tmp_path.glob("part-*")) == ["part-000000", "part-000001"]


def _add_ten(folder, number):
    store = FeatureStore(folder, "abc", DIM)
    for part in range(10):
        names = [f"{number} {part} {place}" for place in range(50)]
        store.add(keys(*names), np.full((50, DIM), number, np.float32), np.ones(50, bool))


def test_several_processes_that_add_at_once_lose_nothing(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_add_ten, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(tmp_path.glob("part-*"))) == 30 and not list(tmp_path.glob(".unfinished-*"))
    names = [f"{number} {part} {place}" for number in range(3) for part in range(10) for place in range(50)]
    vectors, present = read(FeatureStore(tmp_path, "abc", DIM), *names)
    assert vectors[:, 0].tolist() == [0.0] * 500 + [1.0] * 500 + [2.0] * 500 and present.all()


def test_threads_that_add_at_once_share_one_store(tmp_path):
    store = FeatureStore(tmp_path, "abc", DIM)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: add(store, [f"{part} {place}" for place in range(20)], seed=part), range(20)))
    assert len(store) == len(FeatureStore(tmp_path, "abc", DIM)) == 400
    for part in range(20):
        vectors, _ = read(store, f"{part} 0", f"{part} 19")
        expected = np.random.default_rng(part).normal(size=(20, DIM)).astype(np.float32)[[0, 19]]
        np.testing.assert_array_equal(vectors, expected)


def _add_for_ever(folder):
    store = FeatureStore(folder, "abc", DIM)
    number = len(store)
    while True:
        names = [f"{number} {place}" for place in range(500)]
        store.add(keys(*names), np.full((500, DIM), number, np.float32), np.ones(500, bool))
        number += 500


def test_a_kill_at_any_moment_leaves_whole_parts(tmp_path):
    random, num_found = np.random.default_rng(0), 0
    for _ in range(5):
        process = multiprocessing.get_context("spawn").Process(target=_add_for_ever, args=(tmp_path,))
        process.start()
        deadline = time.monotonic() + 30
        while len(list(tmp_path.glob("part-*"))) <= num_found and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        store = FeatureStore(tmp_path, "abc", DIM)
        num_found = len(list(tmp_path.glob("part-*")))
        assert num_found > 0 and len(store) == 500 * num_found
        for part in tmp_path.glob("part-*"):
            assert np.load(part / "vectors.npy").shape == (500, DIM)
    names = [f"0 {place}" for place in range(500)]
    np.testing.assert_array_equal(read(store, *names)[0], np.zeros((500, DIM)))


def test_what_killed_processes_left_is_removed_in_time(tmp_path):
    FeatureStore(tmp_path, "abc", DIM)
    for name, age in ((".unfinished-new", 60), (".unfinished-old", 7200)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    FeatureStore(tmp_path, "abc", DIM)
    assert [path.name for path in tmp_path.glob(".unfinished-*")] == [".unfinished-new"]


def test_what_is_read_may_lie_on_disk(tmp_path):
    store = FeatureStore(tmp_path / "store", "abc", DIM)
    expected, _ = add(store, ["a", "b"])
    vectors = np.memmap(tmp_path / "table", np.float32, "w+", shape=(2, DIM))
    store.read(keys("b", "a"), vectors, np.zeros(2, bool))
    np.testing.assert_array_equal(vectors, expected[::-1])


def test_it_is_described_beside_its_parts(tmp_path):
    FeatureStore(tmp_path, "abc", DIM, "float16")
    assert json.loads((tmp_path / "store.json").read_text()) == {"encoder": "abc", "dim": DIM, "dtype": "float16"}
