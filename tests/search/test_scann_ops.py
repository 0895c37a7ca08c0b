import sys

import pytest
import tensorflow as tf

from tfmmrec.search.scann_ops import register_ops, save_options, scann_ops
from tfmmrec.types import UsageError

pytest.importorskip("scann")


def test_what_is_saved_with_scann_is_said_to_tensorflow(tmp_path):
    class Searched(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4])])
        def search(self, vectors):
            config = scann_ops().builder(tf.zeros([1, 4]), 3, "dot_product").score_brute_force().create_config()
            searcher = scann_ops().scann_create_searcher(x=vectors, scann_config=config, training_threads=1)
            return scann_ops().scann_search_batched(searcher, vectors[:1], 3, 3, 1, False).indices

    module = Searched()
    strict = tf.saved_model.SaveOptions(namespace_whitelist=[])
    with pytest.raises(ValueError, match="Scann>ScannSearchBatched"):
        tf.saved_model.save(module, str(tmp_path / "strict"), options=strict)
    assert save_options({"kind": "ivf"}) is None
    tf.saved_model.save(module, str(tmp_path / "told"), options=save_options({"kind": "scann"}))


def test_only_what_needs_scann_asks_for_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scann.scann_ops.py.scann_ops", None)
    register_ops({})
    register_ops({"index": {"kind": "ivf"}})
    with pytest.raises(UsageError, match=r"needs the package scann \(pip install 'tfmmrec\[scann\]'\)"):
        register_ops({"index": {"kind": "scann"}})


def test_another_tensorflow(monkeypatch):
    def fail(name):
        raise tf.errors.NotFoundError(None, None, "undefined symbol")

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(UsageError, match="does not fit this TensorFlow.*undefined symbol"):
        scann_ops()
