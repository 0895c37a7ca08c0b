import numpy as np
import tensorflow as tf

from tests.test_sharded_tables import VALUES, in_parts
from tfmmrec.parameter_servers import begin_with, plain_copy


def model(table):
    made = tf.Module()
    made.table, made.bias = table, tf.Variable([1.0, 2.0])
    return made


def test_a_table_in_parts_takes_and_gives_the_whole_one(tmp_path):
    whole, cut = model(tf.Variable(VALUES)), model(in_parts(np.zeros_like(VALUES)))
    whole.bias.assign([3.0, 4.0])
    begin_with(whole, cut, tmp_path / "begin")
    np.testing.assert_array_equal(cut.table.variables[0], VALUES[:4])
    np.testing.assert_array_equal(cut.table.variables[1], VALUES[4:])
    np.testing.assert_array_equal(cut.bias, [3.0, 4.0])
    cut.table.variables[1].assign(VALUES[4:] + 1.0)
    found = plain_copy(cut, lambda: model(tf.Variable(np.zeros_like(VALUES))), tmp_path / "end")
    np.testing.assert_array_equal(found.table, np.concatenate([VALUES[:4], VALUES[4:] + 1.0]))
    np.testing.assert_array_equal(found.bias, [3.0, 4.0])
    assert not list(tmp_path.iterdir())
