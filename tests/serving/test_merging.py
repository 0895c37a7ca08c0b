import numpy as np
import pyarrow as pa

from tfmmrec.serving.contents import Contents
from tfmmrec.serving.merging import merge, merged_contents


def test_old_ones_that_stay_keep_their_order_and_new_ones_follow():
    found = merge(["a", "b", "c", "d"], ["b", "z"], ["e", "c", "f"])
    assert found.old_rows.tolist() == [0, 2, 3, -1, -1]  # a c d e f
    assert found.new_rows.tolist() == [-1, 1, -1, 0, 2]
    assert len(found) == 5


def test_columns_come_from_the_table_where_it_has_the_candidate():
    found = merge(["a", "b", "c"], ["a"], ["d", "c"])
    assert found.taken(pa.array(["1", "2", "3"]), pa.array(["4", None])).to_pylist() == ["2", None, "4"]  # b c d
    lists = found.taken(pa.array(["1", "2", "3"]), pa.array([["4", "5"], []]))
    assert lists.to_pylist() == [["2"], [], ["4", "5"]]


def test_arrays_are_filled_where_there_is_something_new():
    found = merge(["a", "b", "c"], ["a"], ["d", "c"])
    old, new = np.array([[1.0, 1], [2, 2], [3, 3]], np.float32), np.array([[9.0, 9]], np.float32)
    filled = found.filled(old, new, np.array([-1, -1, 0]))  # d alone was encoded
    assert filled.tolist() == [[2, 2], [3, 3], [9, 9]] and filled.dtype == np.float32


def test_only_removed_or_only_new():
    assert merge(["a", "b"], ["a"], []).old_rows.tolist() == [1]
    assert merge(["a"], [], ["b"]).new_rows.tolist() == [-1, 0]
    assert len(merge(["a"], ["a"], [])) == 0


def test_contents():
    old = Contents(["a", "b"], [b"1", b"2"], {"kind": pa.array(["x", "y"])}, ["text"])
    new = Contents(["c", "b"], [b"3", b"4"], {"kind": pa.array([["z", "w"], []])}, ["text"])
    found = merged_contents(merge(old.ids, ["a"], new.ids), old, new)
    assert (found.ids, found.digests, found.looked_at) == (["b", "c"], [b"4", b"3"], ["text"])
    assert found.filters["kind"].to_pylist() == [[], ["z", "w"]]
