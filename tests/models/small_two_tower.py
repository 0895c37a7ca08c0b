"""A two-tower model of ids, a vector and a history that is small enough to compute by hand, and batches for it."""

import numpy as np
import tensorflow as tf

from tfmmrec.encoders import HistoryEncoder, IdentifierEncoder, PrecomputedEncoder
from tfmmrec.fusion import EarlyFusion
from tfmmrec.models import TwoTower
from tfmmrec.towers import Tower

NUM_CANDIDATES, NUM_QUERIES, DIM, LENGTH = 7, 5, 4, 3
COUNTS = np.array([4, 2, 0, 1, 3, 2, 1])  # nobody chose candidate 2
CANDIDATE_IDS = [f"c{i}" for i in range(NUM_CANDIDATES)]
QUERY_IDS = [f"q{i}" for i in range(NUM_QUERIES)]
LOOKS = np.random.default_rng(1).normal(size=(NUM_CANDIDATES, 3)).astype(np.float32)
LOOKS[4] = 0.0  # missing
CATALOGUE = {"id": {"row": np.arange(NUM_CANDIDATES, dtype=np.int32)}, "look": {"value": LOOKS}}
HISTORIES = np.array([[0, 1, -1], [5, -1, -1], [-1, -1, -1], [3, 4, 6]], np.int32)
WEIGHT = np.array([1.0, 0.5, 2.0, 0.0], np.float32)
TEMPERATURE = 0.5


class CountingEncoder(PrecomputedEncoder):
    """Notes how many rows each of its calls had."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls = []

    def call(self, inputs, training=None):
        self.calls.append(inputs["value"].shape[0])
        return super().call(inputs, training=training)


def make(loss="full_softmax", history=True, pooling=False, looks=True, **options):
    """A model with an id, a vector and a history; every weight away from where it starts."""
    tf.keras.utils.set_random_seed(3)
    content = {"look": CountingEncoder(3, name="look")} if looks else {}
    candidates = {"id": IdentifierEncoder(CANDIDATE_IDS, DIM, name="id")} | content
    queries = {"id": IdentifierEncoder(QUERY_IDS, DIM, name="id")}
    if history:
        queries["history"] = HistoryEncoder(LENGTH, name="history")
    if pooling:
        own = {"id": IdentifierEncoder(CANDIDATE_IDS, DIM, name="id")}
        options["history_tower"] = Tower(candidates | own, EarlyFusion(DIM + 1), name="history_tower")
    if loss in ("full_softmax", "multinomial"):
        options = {"candidate_counts": COUNTS} | options
    model = TwoTower(
        Tower(queries, EarlyFusion(DIM), name="query_tower"),
        Tower(candidates, EarlyFusion(DIM), name="candidate_tower"),
        num_candidates=NUM_CANDIDATES,
        loss=loss,
        **({"temperature": TEMPERATURE} | options),
    )
    model.build_towers()
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [number, 1], stddev=0.5))
    if model.needs_catalogue:
        model.set_catalogue(CATALOGUE if looks else {"id": CATALOGUE["id"]})
    for calls in (encoder.calls for encoder in content.values()):
        calls.clear()
    return model


def query_inputs(history=True):
    inputs = {"id": {"row": tf.constant([0, 1, 2, 3])}}
    return inputs | ({"history": {"rows": tf.constant(HISTORIES)}} if history else {})


def interactions(rows, positive, history=True):
    """A batch of interactions: the different candidates `rows`, and the place of each row's own."""
    rows = np.array(rows, np.int32)
    return {
        "query": query_inputs(history),
        "candidate": tf.nest.map_structure(lambda array: tf.constant(array[np.maximum(rows, 0)]), CATALOGUE),
        "candidate_rows": tf.constant(rows),
        "positive": tf.constant(positive),
        "weight": tf.constant(WEIGHT),
    }


def logits_of(model, history_table=None):
    """Scores of all candidates over the temperature, by the towers alone."""
    catalogue = tf.nest.map_structure(tf.constant, CATALOGUE)
    table = model.embed_candidates(catalogue).numpy()
    pooled = model.embed_history(catalogue).numpy() if history_table is None else history_table
    queries = model.embed_queries(query_inputs("history" in model.query_tower.encoders), pooled).numpy()
    return queries @ table.T / TEMPERATURE


def log_softmax(logits, allowed):
    weights = np.exp(logits) * allowed
    return logits - np.log(weights.sum(axis=1, keepdims=True))
