import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import catalogue, statistics
from tfmmrec.models.graph_towers import IdentifierAndHistory, choose_scale, graph_towers
from tfmmrec.types import UsageError


def towers(**options):
    given = {"identifier_weight": 0.5, "normalize": False, "num_neighbors": 3, "max_history": 9} | options
    return graph_towers(catalogue().schema, statistics(), given.pop("dim", 5), **given)


def test_id_and_history_are_added_and_what_is_absent_is_zero():
    layer = IdentifierAndHistory(0.25)
    parts = {
        "id": {"vector": tf.constant([[4.0, 8.0], [4.0, 8.0]]), "present": tf.constant([True, False])},
        "history": {"vector": tf.constant([[1.0, 1.0], [2.0, 3.0]]), "present": tf.constant([True, True])},
    }
    np.testing.assert_allclose(layer(parts), [[2.0, 3.0], [2.0, 3.0]])
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(layer))
    assert again.identifier_weight == 0.25


def test_towers_have_ids_history_and_the_content_that_needs_no_training():
    query, candidate = towers()
    assert set(query.encoders) == {"id", "history"}
    assert set(candidate.encoders) == {"id", "title", "photo", "look"}
    assert query.encoders["history"].exponent == 0.5 and query.fusion.identifier_weight == 0.5
    assert candidate.fusion.dim == 10 and candidate.fusion.num_neighbors == 3


def test_a_query_may_be_more_than_a_sum():
    class Fusion(tf.keras.layers.Layer):
        query_dim, history_dim = 7, 11

    fusion = Fusion()
    query, candidate = towers(query_fusion=fusion)
    assert query.fusion is fusion and query.encoders["id"].dim == 7
    assert candidate.encoders["id"].dim == 5 and candidate.fusion.dim == 5 + 11


def test_histories_are_as_long_as_the_longest_of_train_but_not_longer_than_allowed():
    longest = statistics().longest_history
    assert towers(max_history=99)[0].encoders["history"].length == longest > 4
    assert towers(max_history=2)[0].encoders["history"].length == 4  # the schema's


def test_scale_follows_the_loss():
    assert choose_scale("bpr", None, None) == (False, 1.0)
    assert choose_scale("full_softmax", None, None) == (True, 0.2)
    assert choose_scale("bpr", True, None) == (True, 0.2)
    assert choose_scale("full_softmax", False, 3.0) == (False, 3.0)


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"max_history": 0}])
def test_sizes_are_checked(wrong):
    with pytest.raises(UsageError, match="dim and max_history must be at least 1"):
        towers(**wrong)
