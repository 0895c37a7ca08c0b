import numpy as np
import tensorflow as tf

from tfmmrec.serving.example_parsing import parse_examples
from tfmmrec.serving.inputs import make_input
from tfmmrec.serving.warmup import as_example

INPUTS = {
    made.name: made
    for made in (
        make_input("query_id", tf.string, "", ""),
        make_input("history", tf.string, "", "", [3]),
        make_input("query_age", tf.float32, np.nan, ""),
        make_input("query_face", tf.float32, 0.0, "", [2]),
        make_input("k", tf.int32, 10, ""),
    )
}


def test_every_kind_of_input():
    examples = [
        as_example(
            {
                "query_id": np.array("q", object),
                "history": np.array(["a", "b", ""], object),
                "query_age": np.float32(30),
                "query_face": np.array([1.0, 2.0], np.float32),
                "k": np.int32(4),
            }
        ),
        as_example({"history": np.array(["a", "b", "c", "d"], object)}),
        b"",
    ]
    found = parse_examples(tf.constant(examples), INPUTS)
    assert {name: tensor.dtype for name, tensor in found.items()} == {name: m.spec.dtype for name, m in INPUTS.items()}
    np.testing.assert_array_equal(found["query_id"], [b"q", b"", b""])
    np.testing.assert_array_equal(found["history"], [[b"a", b"b", b""], [b"a", b"b", b"c"], [b"", b"", b""]])
    np.testing.assert_array_equal(found["query_age"], [30, np.nan, np.nan])
    np.testing.assert_array_equal(found["query_face"], [[1, 2], [0, 0], [0, 0]])
    np.testing.assert_array_equal(found["k"], [4, 10, 10])
