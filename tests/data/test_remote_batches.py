import numpy as np
import pytest
import tensorflow as tf

from tests.data.logs import CANDIDATE_TABLES, EVERY_LOG, QUERY_TABLES, make_log
from tfmmrec.data.batches import InteractionBatches
from tfmmrec.data.remote_batches import RemoteBatches
from tfmmrec.types import UsageError


def remote(folder, log, batch_size=8, **options):
    made = RemoteBatches(InteractionBatches(log, QUERY_TABLES, CANDIDATE_TABLES, batch_size, **options), folder)
    made.write()
    return made


def taken(dataset, number):
    return list(dataset.take(number).as_numpy_iterator())


def rows_of(batch):
    return batch["weight"].astype(int) - 1


@pytest.mark.parametrize(("seed", "timed"), EVERY_LOG)
def test_a_batch_is_what_interaction_batches_would_make_of_its_rows(tmp_path, seed, timed):
    log = make_log(seed, timed)
    log.columns["rating"] = np.where(np.arange(log.num_rows) % 3, np.arange(log.num_rows) / 2, np.nan).astype("f4")
    made = remote(tmp_path, log, seed=seed, history_length=4)
    queries, local = log.query_rows(), made.stream.batch(0)
    for batch in taken(made.dataset(), 2 * made.stream.steps_per_epoch):
        tf.nest.assert_same_structure(batch, local)
        for own, other in zip(tf.nest.flatten(batch), tf.nest.flatten(local), strict=True):
            assert own.shape == other.shape and own.dtype == other.dtype
        rows, unique = rows_of(batch), batch["candidate_rows"]
        np.testing.assert_array_equal(unique[batch["positive"]], log.indices[rows])
        np.testing.assert_array_equal(batch["query"]["age"]["value"], queries[rows])
        np.testing.assert_array_equal(batch["query_rows"], queries[rows])
        np.testing.assert_array_equal(batch["rating"], log.columns["rating"][rows])
        assert sorted(unique[unique >= 0]) == sorted(set(log.indices[rows]))  # each candidate once
        np.testing.assert_array_equal(batch["candidate"]["name"]["words"][:, 0], 2 * np.maximum(unique, 0))
        for history, row, query in zip(batch["query"]["history"]["rows"], rows, queries[rows], strict=True):
            start, end = log.indptr[query], log.indptr[query + 1]
            own = log.indices[start:end]
            if timed:
                expected = log.indices[start:row][::-1][:4]
            else:  # a window of the others, past the end back to the start: it begins somewhere
                others = [log.indices[start + (row - start + 1 + i) % (end - start)] for i in range(end - start - 1)]
                windows = [(others[i:] + others[:i])[:4] for i in range(max(len(others), 1))]
                expected = next(w for w in windows if [c for c in w if c != log.indices[row]] == _kept(history))
            expected = [candidate for candidate in expected if candidate != log.indices[row]]
            assert _kept(history) == expected and set(expected) <= set(own)


def _kept(history):
    return [candidate for candidate in history if candidate >= 0]


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_no_two_workers_take_the_same_row_in_a_pass(tmp_path, num_workers):
    made = remote(tmp_path, make_log(), batch_size=5)
    steps, orders = made.stream.steps_per_epoch, []
    numbered = {}
    for worker in range(num_workers):
        share = taken(made.dataset(0, worker, num_workers), 2 * steps)
        numbered |= {worker + place * num_workers: batch for place, batch in enumerate(share)}
    for epoch in range(2):
        rows = np.concatenate([rows_of(numbered[epoch * steps + step]) for step in range(steps)])
        assert len(set(rows)) == rows.size > made.stream.num_rows - 5
        orders.append(rows.tolist())
    assert orders[0] != orders[1]  # each pass in another order


def test_it_goes_on_from_any_step_and_another_seed_has_another_order(tmp_path):
    log = make_log()
    made = remote(tmp_path / "one", log, history_length=4)
    whole = taken(made.dataset(), 7)
    tf.nest.map_structure(np.testing.assert_array_equal, taken(made.dataset(3), 4), whole[3:])
    tf.nest.map_structure(np.testing.assert_array_equal, taken(made.dataset(5, 1, 2), 1), whole[5:6])
    other = taken(remote(tmp_path / "other", log, history_length=4, seed=1).dataset(), 7)
    assert any((a["weight"] != b["weight"]).any() for a, b in zip(whole, other, strict=True))


def test_rows_whose_candidate_finds_no_place_weigh_nothing(tmp_path):
    log = make_log()
    stream = InteractionBatches(log, QUERY_TABLES, CANDIDATE_TABLES, 30)
    stream.unique_size = 4
    made = RemoteBatches(stream, tmp_path)
    made.write()
    (batch,) = taken(made.dataset(), 1)
    there = batch["weight"] > 0
    assert batch["candidate_rows"].shape == (4,) and 0 < there.sum() < 30 and (batch["positive"] < 4).all()
    found = batch["candidate_rows"][batch["positive"][there]]
    np.testing.assert_array_equal(found, log.indices[rows_of(batch)[there]])


def test_a_log_without_weights_has_ones(tmp_path):
    log = make_log()
    del log.columns["weight"]
    (batch,) = taken(remote(tmp_path, log).dataset(), 1)
    np.testing.assert_array_equal(batch["weight"], np.ones(8, np.float32))


def test_the_graph_holds_no_data_and_runs_no_python(tmp_path):
    """So that a server which has the files alone can run it."""
    log = make_log()
    made = remote(tmp_path, log, history_length=4)
    graph = tf.function(lambda worker: made.dataset(0, worker, 2)._variant_tensor).get_concrete_function(
        tf.TensorSpec([], tf.int64)
    )
    nodes = [*graph.graph.as_graph_def().node]
    nodes += [node for one in graph.graph.as_graph_def().library.function for node in one.node_def]
    kinds = {node.op for node in nodes}
    assert "ReadFile" in kinds and not kinds & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}
    sizes = [
        np.prod([one.size for one in node.attr["value"].tensor.tensor_shape.dim])
        for node in nodes
        if node.op == "Const"
    ]
    assert max(sizes) < 9  # of the log there are more rows


def test_what_it_cannot_do(tmp_path):
    tables = {"name": {"text": np.array(["a"] * 12, object)}}
    with pytest.raises(UsageError, match="candidate/name/text holds strings"):
        RemoteBatches(InteractionBatches(make_log(), QUERY_TABLES, tables, 8), tmp_path)
    with pytest.raises(UsageError, match="a worker makes batches for one replica, got 2"):
        RemoteBatches(InteractionBatches(make_log(), QUERY_TABLES, {}, 8, num_groups=2), tmp_path)
