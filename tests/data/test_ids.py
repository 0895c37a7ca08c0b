import pyarrow as pa

from tfmmrec.data.ids import IdIndex, first_duplicate


def test_rows_of_known_and_unknown_ids():
    index = IdIndex(pa.array(["b", "a", "007"]), fixed=True)
    assert index.rows_of(pa.array(["007", "7", None, "b"])).tolist() == [2, -1, -1, 0]
    assert index.learn(pa.array(["a", "new"])).tolist() == [1, -1]
    assert len(index) == 3


def test_learning_keeps_the_order_of_appearance():
    index = IdIndex()
    assert index.learn(pa.array(["x", "y"])).tolist() == [0, 1]
    assert index.learn(pa.array(["z", "x", "w"])).tolist() == [2, 0, 3]
    assert index.ids.to_pylist() == ["x", "y", "z", "w"]


def test_first_duplicate():
    assert first_duplicate(pa.array(["a", "b", "c"])) is None
    assert first_duplicate(pa.array(["a", "b", "c", "b", "a"])) == (1, 3)
