import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.layerwise_adam import LayerwiseAdam
from tfmmrec.sharded_tables import is_cut, local_rows, rows_of

VALUES = np.arange(14, dtype=np.float32).reshape(7, 2)


def in_parts(values=VALUES, sizes=(4, 3)):
    """A table as parameter servers hold it: the first parts have a row more, where they differ."""
    parts = [
        tf.Variable(part, name=f"table/part_{number}")
        for number, part in enumerate(np.split(values, np.cumsum(sizes)[:-1]))
    ]
    return tf.__internal__.distribute.ShardedVariable(parts, name="table")


MAKERS = {"whole": lambda: tf.Variable(VALUES), "two": in_parts, "three": lambda: in_parts(sizes=(3, 2, 2))}


@pytest.mark.parametrize("parts", MAKERS)
@pytest.mark.parametrize("rows", [[0, 6, 3, 3, 4], [[5, 1], [2, 2]]])
def test_rows_of_a_table_in_parts_are_those_of_the_whole(parts, rows):
    table = MAKERS[parts]()
    np.testing.assert_array_equal(rows_of(table, tf.constant(rows)), VALUES[np.array(rows)])
    assert is_cut(table) == (parts != "whole")


def test_each_part_gets_the_gradient_of_its_own_rows():
    table = in_parts()
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(rows_of(table, tf.constant([1, 5, 5])))
    first, second = tape.gradient(total, table.variables)
    np.testing.assert_array_equal(tf.convert_to_tensor(first), [[0, 0], [1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(tf.convert_to_tensor(second), [[0, 0], [2, 2], [0, 0]])


def test_a_small_table_of_the_rows_that_are_asked_for():
    rows = tf.constant([[6, -1, 2], [2, 0, 6]])
    table, places = local_rows(in_parts(), rows)
    assert table.shape[1] == 2 and len(table) <= 4  # 6, 2, 0, and 0 in padding's place
    found = np.where(places.numpy()[..., None] >= 0, table.numpy()[places], -1.0)
    expected = np.where(rows.numpy()[..., None] >= 0, VALUES[rows], -1.0)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(places.numpy() >= 0, rows.numpy() >= 0)


def test_a_whole_table_stays_as_it_is():
    table, rows = tf.Variable(VALUES), tf.constant([[1, -1]])
    assert local_rows(table, rows) == (table, rows) and not is_cut(None)


def trained(table):
    """`step()` moves rows of the table by an optimizer, and both in a checkpoint."""
    variables, optimizer = list(table.variables) if is_cut(table) else [table], LayerwiseAdam(0.1, lazy=True)
    optimizer.build(variables)

    def step(rows):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(rows_of(table, tf.constant(rows))))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return np.concatenate([variable.numpy() for variable in variables])

    return step, tf.train.Checkpoint(table=table, optimizer=optimizer)


@pytest.mark.parametrize("other", ["whole", "three"])
def test_a_checkpoint_of_two_parts_goes_on_in_others(tmp_path, other):
    """As a training does that is resumed with another number of servers: the optimizer's moments are cut anew too."""
    step, checkpoint = trained(in_parts())
    moved = step([1, 3, 4])
    path = checkpoint.write(str(tmp_path / "two"))
    step_of_other, other_s = trained(MAKERS[other]())
    other_s.read(path).assert_existing_objects_matched()
    expected = step([3, 5])
    assert np.abs(expected - moved).max() > 0.01
    np.testing.assert_allclose(step_of_other([3, 5]), expected, rtol=1e-6)
