import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.models.gradient_sums import divided, summed, tensors_of, whole_rows


def rows(indices, values):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(indices), tf.constant([5, 2]))


def dense(gradient):
    return tf.convert_to_tensor(gradient).numpy()


@pytest.fixture
def one():
    return rows([3, 0, 3], [[1, 2], [10, 20], [4, 8]])


@pytest.fixture
def other():
    return rows([1, 3], [[5, 5], [100, 100]])


def test_every_row_once(one):
    whole = whole_rows(one)
    assert whole.indices.numpy().tolist() == [3, 0]
    np.testing.assert_array_equal(whole.values, [[5, 10], [10, 20]])
    tensor = tf.ones([2])
    assert whole_rows(tensor) is tensor and whole_rows(None) is None


def test_rows_and_rows_are_rows_each_of_them_once(one, other):
    (total,) = summed([one], [other])
    assert isinstance(total, tf.IndexedSlices)
    assert total.indices.numpy().tolist() == [3, 0, 1]
    np.testing.assert_array_equal(dense(total), dense(one) + dense(other))


def test_many_batches_take_no_more_than_the_table(one):
    total = [one]
    for _ in range(20):
        total = summed(total, [rows([0, 1, 2, 3, 4], np.ones((5, 2)))])
    assert total[0].values.shape == (5, 2)
    np.testing.assert_array_equal(dense(total[0]), dense(one) + 20)


def test_what_is_not_alike(one, other):
    tensor = tf.ones([5, 2])
    found = summed([None, one, None, tensor, tensor], [tensor, tensor, None, other, None])
    np.testing.assert_array_equal(found[0], tensor)
    np.testing.assert_array_equal(found[1], dense(one) + 1)
    assert found[2] is None
    np.testing.assert_array_equal(found[3], dense(other) + 1)
    np.testing.assert_array_equal(found[4], tensor)


def test_division_keeps_rows(one):
    halves = divided([one, tf.ones([3]), None], 2)
    assert isinstance(halves[0], tf.IndexedSlices) and halves[2] is None
    np.testing.assert_array_equal(dense(halves[0]), dense(one) / 2)
    np.testing.assert_array_equal(halves[1], [0.5] * 3)


def test_its_tensors(one):
    tensor = tf.ones([3])
    assert [part.shape.as_list() for part in tensors_of([None, tensor, one])] == [[3], [3, 2], [3], [2]]


@pytest.mark.parametrize("gradients", [[], [None]])
def test_no_tensors(gradients):
    assert tensors_of(gradients) == []
