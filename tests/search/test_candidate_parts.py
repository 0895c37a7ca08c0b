import numpy as np
import pytest
import tensorflow as tf

from tfmmrec.search.candidate_parts import CandidateParts, IndexedParts
from tfmmrec.search.exact import ExactIndex
from tfmmrec.types import UsageError

PARTS = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_parts_are_found_by_id():
    found = CandidateParts(["a", "b", "ü", "d"], PARTS)
    assert found.dim == 3 and found.history_vectors is None
    np.testing.assert_array_equal(found.rows_of(tf.constant([["ü", ""], ["z", "a"]])), [[2, -1], [-1, 0]])
    np.testing.assert_array_equal(found.pooled, PARTS)
    assert {id(variable) for variable in found.arrays().values()} == {id(variable) for variable in found.variables}


def test_none_at_all():
    found = CandidateParts([], np.zeros([0, 2]))
    np.testing.assert_array_equal(found.rows_of(tf.constant(["a"])), [-1])
    assert found.pooled.shape == (0, 2)


def test_other_candidates_after_loading(tmp_path, run_python):
    tf.saved_model.save(CandidateParts(["a", "b"], PARTS[:2]), str(tmp_path / "parts"))
    done = run_python(
        "import tensorflow as tf\n"
        f"parts = tf.saved_model.load({str(tmp_path / 'parts')!r})\n"
        "parts.replace(tf.constant(['x', 'y', 'z']), tf.ones([3, 3]))\n"
        "print(parts.parts.numpy().shape, parts.lookup.rows.numpy().shape)\n"
        "try:\n"
        "    parts.replace(tf.constant(['x', 'y']), tf.ones([3, 3]))\n"
        "except tf.errors.InvalidArgumentError as error:\n"
        "    print('refused' if 'same length' in str(error) else error, parts.parts.numpy().shape)\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["(3, 3) (3,)", "refused (3, 3)"]


def test_beside_a_retriever_s_vectors_nothing_is_there_twice():
    index = ExactIndex(["a", "b", "c", "d"], np.eye(4), parts=PARTS)
    found = IndexedParts(index)
    assert found.parts is index.parts and found.lookup is index.lookup and found.history_vectors is None
    np.testing.assert_array_equal(found.rows_of(tf.constant(["d", "z"])), [3, -1])
    np.testing.assert_array_equal(found.pooled, PARTS)
    np.testing.assert_array_equal(index.pooled, np.eye(4), "the retriever's histories pool its own")


def test_what_does_not_fit():
    with pytest.raises(UsageError, match=r"2 candidates need parts \[2, dim\], got \[4, 3\]"):
        CandidateParts(["a", "b"], PARTS)
    with pytest.raises(UsageError, match="needs its candidates' parts, and this index has none"):
        IndexedParts(ExactIndex(["a"], np.eye(1)))
