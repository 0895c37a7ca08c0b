import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.products import dot_products

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(9, 3)).astype(np.float32)


@pytest.mark.parametrize("batch", [0, 1, 2, 5])
@pytest.mark.parametrize("is_known", [True, False])
def test_products_of_any_number_of_queries(batch, is_known):
    """Whether the graph knows their number when it is made, or only when it runs."""
    queries = RANDOM.normal(size=(batch, 3)).astype(np.float32)
    shapes = [batch if is_known else None, 3], [None, 3]
    ask = tf.function(dot_products, input_signature=[tf.TensorSpec(shape) for shape in shapes])
    found = ask(queries, TABLE)
    assert found.shape == (batch, 9)
    np.testing.assert_allclose(found, queries @ TABLE.T, rtol=1e-5, atol=1e-6)


def test_the_result_may_be_overwritten():
    """As filters do it, which must not reach the table."""
    variable = tf.Variable(TABLE[:, :1])

    @tf.function
    def overwritten():
        scores = dot_products(tf.ones([1, 1]), variable.value())
        return tf.raw_ops.InplaceUpdate(x=tf.reshape(scores, [-1]), i=[0], v=[-float("inf")])

    assert overwritten()[0] == -np.inf
    np.testing.assert_array_equal(variable, TABLE[:, :1])
