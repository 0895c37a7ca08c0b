import numpy as np
import pytest
import tensorflow as tf

import tfmmrec.encoders.history as history_module
from tfmmrec.encoders import HistoryEncoder
from tfmmrec.encoders.history import pool_rows
from tfmmrec.types import UsageError

TABLE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
ROWS = [[4, 0, -1, -1], [-1, -1, -1, -1], [2, 2, 2, 1]]


def pool(table=TABLE, rows=ROWS, training=False, **options):
    encoder = HistoryEncoder(4, **options)
    return encoder({"rows": tf.constant(rows), "table": tf.constant(table)}, training=training)


@pytest.mark.parametrize(("exponent", "divisors"), [(1.0, (2, 4)), (0.5, (2**0.5, 2.0)), (0.0, (1, 1))])
def test_the_sum_is_divided_by_a_power_of_the_count(exponent, divisors):
    found = pool(exponent=exponent)
    expected = [(TABLE[4] + TABLE[0]) / divisors[0], np.zeros(3), (3 * TABLE[2] + TABLE[1]) / divisors[1]]
    np.testing.assert_allclose(found["vector"], expected, rtol=1e-5)
    assert found["present"].numpy().tolist() == [True, False, True]


def test_the_gather_of_large_tables_gives_the_numbers_of_the_product(monkeypatch):
    def both():
        table = tf.Variable(TABLE)
        with tf.GradientTape() as tape:
            total, count = pool_rows(tf.convert_to_tensor(table), tf.constant(ROWS))
            loss = tf.reduce_sum(total * tf.range(1.0, 4.0))
        return total.numpy(), count.numpy(), tf.convert_to_tensor(tape.gradient(loss, table)).numpy()

    product = both()
    monkeypatch.setattr(history_module, "_DENSE_LIMIT", 4)
    for one, other in zip(product, both(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    # row 2 is there three times, rows 0, 1 and 4 once, row 3 never
    np.testing.assert_allclose(product[2], np.outer([1, 1, 3, 0, 1], [1, 2, 3]), rtol=1e-6)


def test_a_table_of_open_size_is_gathered_from():
    pooled = tf.function(pool_rows, input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None, None], tf.int32)])
    total, count = pooled(TABLE, ROWS)
    np.testing.assert_allclose(total, [TABLE[4] + TABLE[0], np.zeros(3), 3 * TABLE[2] + TABLE[1]], rtol=1e-5)
    assert count.numpy().ravel().tolist() == [2, 0, 4]


def test_dropout_leaves_out_its_share_of_the_entries_in_training():
    rows = np.tile(np.arange(4, dtype=np.int32), (1000, 1))
    table = np.eye(4, dtype=np.float32)
    kept = pool(table, rows, training=True, dropout=0.25, exponent=0.0)["vector"].numpy()
    assert set(np.unique(kept)) == {0.0, 1.0}
    assert abs(kept.mean() - 0.75) < 4 * 0.0069  # 4000 draws at 0.75
    np.testing.assert_array_equal(pool(table, rows, dropout=0.25, exponent=0.0)["vector"], np.ones((1000, 4)))


def test_a_history_that_lost_all_its_entries_is_absent():
    found = pool(rows=[[1, -1, -1, -1]] * 200, training=True, dropout=0.5)
    present = found["present"].numpy()
    assert 0 < present.sum() < 200
    np.testing.assert_array_equal(found["vector"].numpy()[~present], 0.0)


def test_arguments_out_of_range_are_refused():
    with pytest.raises(UsageError, match="history length must be at least 1, got 0"):
        HistoryEncoder(0)
    with pytest.raises(UsageError, match=r"history dropout must lie in \[0, 1\), got 1.0"):
        HistoryEncoder(3, dropout=1.0)


def test_the_raw_value_is_a_list_of_ids_of_fixed_length():
    assert HistoryEncoder(7).raw_spec() == tf.TensorSpec([None, 7], tf.string)
