from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from tfmmrec.search.exact import ExactIndex
from tfmmrec.serving.indexed_tables import indexed_popularity, indexed_tables

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_tables_come_in_the_order_of_the_ids_that_are_asked_for():
    index = ExactIndex(["c", "a", "é"], VECTORS, [7, 8, 9], history_vectors=-VECTORS, parts=VECTORS[:, :1])
    found = indexed_tables(index, ["é", "c"])
    assert list(found) == ["vectors", "history_vectors", "parts"], "as the index takes them"
    np.testing.assert_array_equal(found["vectors"], VECTORS[[2, 0]])
    np.testing.assert_array_equal(found["history_vectors"], -VECTORS[[2, 0]])
    np.testing.assert_array_equal(found["parts"], VECTORS[[2, 0], :1])
    assert indexed_popularity(index, ["é", "c"]).tolist() == [9, 7]
    assert list(indexed_tables(ExactIndex(["a"], VECTORS[:1]), ["a"])) == ["vectors"]


def test_parts_alone_stand_in_the_order_of_the_ids():
    """A ranking model without a retriever keeps no ids, only their fingerprints."""
    index = SimpleNamespace(parts=tf.Variable(VECTORS))
    np.testing.assert_array_equal(indexed_tables(index, ["x", "y", "z"])["parts"], VECTORS)
