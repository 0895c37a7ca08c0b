import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.encoders import SequenceHistoryEncoder
from tfmmrec.encoders.sequence_history import KINDS, newest_first
from tfmmrec.types import UsageError

LENGTH = 4
TABLE = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
ROWS = [[4, 0, 5, 1], [2, 3, -1, -1], [5, -1, -1, -1], [-1, -1, -1, -1]]
CHOSEN = [[row for row in rows if row >= 0] for rows in ROWS]


def sequence(rows=ROWS, table=TABLE, training=False, encoder=None, **options):
    encoder = encoder or made(table.shape[1], **options)
    return encoder({"rows": tf.constant(rows), "table": tf.constant(table)}, training=training)


def made(table_dim=4, **options):
    """An encoder whose weights are all different."""
    encoder = SequenceHistoryEncoder(LENGTH, **options)
    encoder({"rows": tf.constant(ROWS), "table": tf.zeros([6, table_dim])})
    for number, variable in enumerate(encoder.trainable_variables):
        variable.assign_add(0.5 * tf.random.stateless_normal(variable.shape, [number, 3]))
    return encoder


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def gru(layer, x):
    """h ← z ⊙ h + (1 − z) ⊙ h', with z, r and h' in the order of Keras' kernels; the states of `[n, dim]`."""
    kernel, recurrent, (bias, recurrent_bias) = (weight.numpy() for weight in layer.weights)
    state, states = np.zeros(layer.units, np.float32), []
    for vector in x:
        given, own = vector @ kernel + bias, state @ recurrent + recurrent_bias
        (z, r, new), (own_z, own_r, own_new) = np.split(given, 3), np.split(own, 3)
        z, r = sigmoid(z + own_z), sigmoid(r + own_r)
        state = z * state + (1 - z) * np.tanh(new + r * own_new)
        states.append(state)
    return np.array(states)


def lstm(layer, x):
    """c ← f ⊙ c + i ⊙ c', h = o ⊙ tanh(c), with i, f, c' and o in the order of Keras' kernels."""
    kernel, recurrent, bias = (weight.numpy() for weight in layer.weights)
    state = cell = np.zeros(layer.units, np.float32)
    states = []
    for vector in x:
        i, f, new, o = np.split(vector @ kernel + state @ recurrent + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(new)
        state = sigmoid(o) * np.tanh(cell)
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize(("kind", "step"), [("gru", gru), ("lstm", lstm)])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_recurrent_layers_read_from_the_oldest_to_the_newest(kind, step, num_layers):
    encoder = made(kind=kind, dim=3, num_layers=num_layers)
    found = sequence(encoder=encoder)
    for row, chosen in enumerate(CHOSEN[:3]):
        x = TABLE[chosen[::-1]]
        for layer in encoder.recurrent:
            x = step(layer, x)
        np.testing.assert_allclose(found["vector"][row], x[-1], rtol=1e-4, atol=1e-5)


def normalised(layer, x):
    gamma, beta = (weight.numpy() for weight in layer.weights)
    return gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-8) + beta


def block_of(block, x, num_heads, causal):
    """Every place of one history, `[n, dim]`; place 0 is the newest."""
    attention, size = block.attention, x.shape[1] // num_heads
    inner = normalised(block.before_attention, x)
    query, key, value = (inner @ part.kernel.numpy() for part in (attention.query, attention.key, attention.value))
    heads = []
    for start in range(0, x.shape[1], size):
        part = slice(start, start + size)
        scores = query[:, part] @ key[:, part].T / np.sqrt(size)
        weights = np.exp(scores)
        if causal:  # an entry sees those of its own place and the older ones
            weights *= np.arange(len(x))[:, None] <= np.arange(len(x))
        heads.append(weights / weights.sum(axis=1, keepdims=True) @ value[:, part])
    x = x + np.concatenate(heads, axis=1) @ attention.output_layer.kernel.numpy()
    hidden = normalised(block.before_network, x) @ block.hidden.kernel.numpy() + block.hidden.bias.numpy()
    return x + np.maximum(hidden, 0) @ block.output_layer.kernel.numpy() + block.output_layer.bias.numpy()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("dim", "num_layers", "num_heads"), [(None, 1, 1), (None, 2, 2), (6, 3, 3)])
def test_a_transformer_reads_out_the_newest(causal, dim, num_layers, num_heads):
    encoder = made(dim=dim, num_layers=num_layers, num_heads=num_heads, causal=causal)
    found = sequence(encoder=encoder)
    for row, chosen in enumerate(CHOSEN[:3]):
        x = TABLE[chosen]
        if dim is not None:
            x = x @ encoder.projection.kernel.numpy()
        x = x + encoder.positions.numpy()[: len(chosen)]
        for block in encoder.blocks:
            x = block_of(block, x, num_heads, causal)
        np.testing.assert_allclose(found["vector"][row], normalised(encoder.normalization, x[0]), rtol=1e-3, atol=1e-4)


def test_what_older_entries_see_makes_a_difference():
    one, other = made(causal=True), made(causal=False)
    other.set_weights(one.get_weights())
    found, expected = sequence(encoder=one)["vector"].numpy(), sequence(encoder=other)["vector"].numpy()
    assert np.abs(found[:2] - expected[:2]).max(axis=1).min() > 1e-3
    np.testing.assert_allclose(found[2:], expected[2:], rtol=1e-5)  # there are no others to see


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_counts(kind):
    encoder = made(kind=kind)
    found = sequence([[4, 0, 5, 1], [0, 4, 5, 1], [4, 0, 1, 5]], encoder=encoder)["vector"].numpy()
    assert min(np.abs(found[0] - found[1]).max(), np.abs(found[0] - found[2]).max()) > 1e-3


def test_entries_close_up_and_the_newest_are_kept():
    rows, count = newest_first(tf.constant([[-1, 3, -1, 0, 2], [1, 2, 3, 4, 5], [-1] * 5]), 4)
    np.testing.assert_array_equal(rows, [[3, 0, 2, -1], [1, 2, 3, 4], [-1] * 4])
    np.testing.assert_array_equal(count, [3, 4, 0])
    rows, count = newest_first(tf.constant([[-1, 3]]), 4)
    np.testing.assert_array_equal(rows, [[3, -1, -1, -1]])


@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_no_influence_wherever_it_stands_and_however_wide_it_is(kind):
    encoder = made(kind=kind)
    expected = sequence([[2, 3, -1, -1]], encoder=encoder)["vector"]
    for rows in ([[-1, 2, -1, 3]], [[2, 3]], [[-1, -1, 2, -1, -1, -1, 3]]):
        np.testing.assert_allclose(sequence(rows, encoder=encoder)["vector"], expected, rtol=1e-5, atol=1e-6)
    table = TABLE.copy()
    table[[0, 1, 4, 5]] = np.nan  # row 0 is what padding would read
    np.testing.assert_allclose(sequence([[2, 3, -1, -1]], table, encoder=encoder)["vector"], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_chosen_alone_and_are_finite(kind):
    encoder, table = made(kind=kind), tf.Variable(TABLE)
    with tf.GradientTape() as tape:
        found = encoder({"rows": tf.constant(ROWS[1:]), "table": tf.convert_to_tensor(table)}, training=True)
        loss = tf.reduce_sum(found["vector"] * tf.constant([1.0, -2.0, 3.0, 0.5]))
    of_table, *others = tape.gradient(loss, [table, *encoder.trainable_variables])
    of_table = tf.convert_to_tensor(of_table).numpy()
    np.testing.assert_array_equal((of_table != 0).any(axis=1), [False, False, True, True, False, True])
    assert np.isfinite(of_table).all()
    assert all(np.isfinite(tf.convert_to_tensor(gradient)).all() for gradient in others)


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_without_entries_is_absent_and_zero(kind):
    found = sequence(encoder=made(kind=kind))
    assert found["present"].numpy().tolist() == [True, True, True, False]
    np.testing.assert_array_equal(found["vector"][3], np.zeros(4))
    alone = sequence([[-1] * 4], encoder=made(kind=kind))
    assert not alone["present"].numpy().any() and not alone["vector"].numpy().any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_open_size_and_any_width_is_read_in_a_graph(kind):
    encoder = made(kind=kind)
    signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, 4])]
    read = tf.function(lambda rows, table: encoder({"rows": rows, "table": table})["vector"], signature)
    assert read.get_concrete_function().structured_outputs.shape.as_list() == [None, 4]
    for width in (2, 4, 7):
        rows = np.full((3, width), -1, np.int32)
        rows[:, :2] = [[1, 2], [3, -1], [-1, 0]]
        np.testing.assert_allclose(read(rows, TABLE), sequence(rows, encoder=encoder)["vector"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_entries_are_left_out_in_training(kind):
    encoder = made(kind=kind, dropout=0.5)
    present = sequence([[1, -1, -1, -1]] * 200, encoder=encoder, training=True)["present"].numpy()
    assert 0 < present.sum() < 200
    pairs = sequence([[1, 2, -1, -1]] * 100, encoder=encoder, training=True)["vector"].numpy()
    parts = sequence([[1, 2, -1, -1], [1, -1, -1, -1], [2, -1, -1, -1], [-1] * 4], encoder=encoder)["vector"].numpy()
    distances = np.abs(pairs[:, None] - parts[None]).max(axis=2)  # [100, 4]
    assert (distances.min(axis=1) < 1e-5).all() and set(distances.argmin(axis=1)) == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_dropout_is_for_training(kind):
    encoder = made(kind=kind, hidden_dropout=0.5)
    one, other = (sequence(encoder=encoder, training=True)["vector"].numpy() for _ in range(2))
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(sequence(encoder=encoder)["vector"], sequence(encoder=encoder)["vector"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "history length must be at least 1, got 0"),
        ({"dropout": 1.0}, r"history dropout must lie in \[0, 1\), got 1.0"),
        ({"hidden_dropout": -0.1}, r"dropout must lie in \[0, 1\), got -0.1"),
        ({"kind": "rnn"}, "kind of a history's sequence must be one of transformer, gru, lstm, got 'rnn'"),
        ({"num_layers": 0}, "num_layers, num_heads and dim must be at least 1, got num_layers=0"),
        ({"dim": 0}, "must be at least 1, .*dim=0"),
        ({"num_heads": 0}, "must be at least 1, .*num_heads=0"),
        ({"num_heads": 3}, "num_heads must be at least 1 and divide dim, got num_heads=3 and dim=4"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        SequenceHistoryEncoder(**({"length": 4, "dim": 4} | options))({"rows": tf.constant(ROWS), "table": TABLE})


def test_the_raw_value_is_a_list_of_ids_of_fixed_length():
    assert SequenceHistoryEncoder(7).raw_spec() == tf.TensorSpec([None, 7], tf.string)
