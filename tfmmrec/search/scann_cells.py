"""Candidates in ScaNN's partitions, as an inverted file's cells: for servers that are built with its operations."""

from __future__ import annotations

import uuid

import tensorflow as tf

from tfmmrec.search.cells import Scanned
from tfmmrec.search.filter_columns import Replacements
from tfmmrec.search.scann_ops import scann_ops
from tfmmrec.types import UsageError

LEAST_CANDIDATES = 16
"""As many as the centres of a block of the codes, which ScaNN learns from at least as many vectors."""

TRAINED_ON = 100_000
"""Vectors that partitions and codes are learned from, at most."""

_OPEN = {
    "scann_config": (tf.string, [None]),
    "serialized_partitioner": (tf.string, [None]),
    "datapoint_to_token": (tf.int32, [None]),
    "ah_codebook": (tf.string, [None]),
    "hashed_dataset": (tf.uint8, [None, None]),
}


class ScannCells(tf.Module):
    """Partitions and codes of ScaNN (Guo et al. 2020): `Cells` with shorter vectors, for another server.

    Candidates lie in the cells of a k-means tree. A vector is 4 bits for every two dimensions, learned so that products
    with likely queries are right (anisotropic quantization). The index orders the best by their own vectors, as it does
    with `Cells`, so ScaNN keeps none.

    Partitions and codes are learned anew when the candidates are exchanged. ScaNN makes a searcher once for each model
    that is loaded: an export must be loaded anew to be given candidates again (an error says so), and what is searched
    after they were exchanged is not found by the cells, but by scoring all candidates, until the model is saved and
    loaded.

    Variables:
        scann_config, serialized_partitioner, ah_codebook: strings `[1]`, protocol buffers of ScaNN.
        datapoint_to_token: int32 `[n]`, each candidate's cell; hashed_dataset: uint8 `[n, dim / 2]`, their codes.
        probes: int32 scalar, how many cells are read at first.
        generation: int64 scalar, how often candidates were given.

    Args:
        num_cells: of the tree; no more than there are candidates.
        probes: at least 1; more than there are cells counts as all.

    Raises:
        UsageError: scann is not installed, or no probes.
    """

    has_cosines = False
    """ScaNN finds the highest products; where scores are cosines, all candidates are scored."""

    are_complete = False
    """A searcher of candidates that were exchanged since finds none."""

    num_rescored = 900
    """How many more candidates than are asked for get their exact scores; the codes are coarse."""

    def __init__(self, num_cells: int, probes: int, name: str = "cells"):
        super().__init__(name=name)
        if probes < 1:
            raise UsageError(f"a scann index must read at least 1 cell, got {probes} probes")
        self._ops = scann_ops()
        self.num_cells = num_cells
        self.probes = tf.Variable(probes, trainable=False, dtype=tf.int32, name=f"{name}_probes")
        self.generation = tf.Variable(0, trainable=False, dtype=tf.int64, name=f"{name}_generation")
        self._searcher = f"{name}-{uuid.uuid4()}"  # the signatures of a loaded model share what has one name
        self.parts = {
            what: tf.Variable(tf.zeros([0] * len(shape), dtype), shape=shape, trainable=False, name=f"{name}_{what}")
            for what, (dtype, shape) in _OPEN.items()
        }

    def replacements(self, vectors: tf.Tensor, directions: tf.Tensor) -> Replacements:
        """What `assign_all` takes to give the cells other candidates; arguments as of `Cells.replacements`."""
        size, last = tf.shape(vectors)[0], self.generation.value()
        checks = [
            tf.debugging.assert_greater_equal(
                size, LEAST_CANDIDATES, message=f"an index of kind scann needs at least {LEAST_CANDIDATES} candidates"
            ),
            tf.debugging.assert_equal(
                self._first_seen(last, "built"),
                last,
                message="ScaNN builds an index once for each model that is loaded; load the export anew to give it "
                "other candidates",
            ),
        ]
        with tf.control_dependencies(checks):
            searcher = self._ops.scann_create_searcher(
                x=vectors,
                scann_config=self._config(size, vectors.shape[1]),
                training_threads=0,
                shared_name=f"{self._searcher}-built",
            )
        made = self._ops.scann_to_tensors(searcher)
        return [(variable, getattr(made, what)) for what, variable in self.parts.items()] + [
            (self.generation, last + 1)
        ]

    def scan(
        self, vector: tf.Tensor, has_cosines: bool, num_cells: tf.Tensor, most: tf.Tensor | None = None
    ) -> Scanned:
        """As `Cells.scan`: at most so many, those of the highest products by their codes; products only."""
        tokens = self.parts["datapoint_to_token"]
        size = tf.shape(tokens)[0]
        most = size if most is None else tf.minimum(most, size)
        searcher = self._ops.tensors_to_scann(
            x=tf.zeros([]),
            **self.parts,
            int8_dataset=tf.zeros([], tf.int8),
            int8_multipliers=tf.zeros([]),
            dp_norms=tf.zeros([]),
            shared_name=self._searcher,
        )
        finite = tf.where(tf.math.is_finite(vector), vector, 0.0)  # ScaNN refuses others
        found = self._ops.scann_search_batched(searcher, finite, most, most, num_cells, False)
        is_own = self._first_seen(self.generation.value(), "searched") == self.generation.value()
        is_there = is_own & tf.math.is_finite(found.distances)
        return Scanned(tf.reshape(tf.where(is_there, found.indices, -1), [-1]), tf.reshape(found.distances, [1, -1]))

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        own = {"probes": self.probes, "generation": self.generation} | self.parts
        return {f"cell_{name}": variable for name, variable in own.items()}

    def _first_seen(self, value: tf.Tensor, what: str) -> tf.Tensor:
        """The value at the first call since the model was loaded: that of a searcher, which is made at its first."""
        table = tf.raw_ops.MutableHashTableV2(
            key_dtype=tf.int64, value_dtype=tf.int64, shared_name=f"{self._searcher}-{what}-generation"
        )
        key = tf.constant(0, tf.int64)
        seen = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=key, default_value=value)
        with tf.control_dependencies([tf.raw_ops.LookupTableInsertV2(table_handle=table, keys=key, values=seen)]):
            return tf.identity(seen)

    def _config(self, size: tf.Tensor, dim: int) -> tf.Tensor:
        """ScaNN's configuration, a protocol buffer as text: string scalar."""
        # by default cells of fewer than 50 are merged in a way that makes others' centres equal
        tree = {"num_leaves": "%CELLS%", "num_leaves_to_search": "%CELLS%", "min_partition_size": 1}
        words = (
            self._ops.builder(tf.zeros([1, dim]), 1, "dot_product")
            .tree(**tree, training_sample_size=TRAINED_ON)
            .score_ah(2, anisotropic_quantization_threshold=0.2, training_sample_size=TRAINED_ON)
            .create_config()
        )
        cells = tf.as_string(tf.minimum(self.num_cells, size))
        return tf.strings.regex_replace(words, "%CELLS%", cells)
