"""Training steps that XLA compiles for any device: all of a step's shapes are known before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tfmmrec.types import UsageError

_DYNAMIC = {"Where", "ListDiff", "DynamicPartition", "Bincount", "NonMaxSuppression", "PyFunc", "EagerPyFunc"}
_DYNAMIC_PREFIXES = ("Unique", "NonMaxSuppression", "Ragged", "String", "LookupTable", "MutableHashTable")
_SPARSE_BUT_STATIC = "SparseSoftmaxCrossEntropyWithLogits"  # of dense logits and labels
_WITHOUT_SHAPE = (tf.resource, tf.variant)


def dynamic_operations(graph: tf.Graph) -> list[str]:
    """What a graph, functions that it calls included, has that cannot run on a TPU.

    Args:
        graph: of a traced function whose inputs have static shapes.

    Returns:
        Sorted types of operations whose output's size depends on values, that work on strings, tables or sparse
        tensors or call Python, and of others that gave a tensor of a size that is not known while it is traced.
    """
    definition = graph.as_graph_def()
    types = {node.op for node in definition.node}
    for function in definition.library.function:
        types |= {node.op for node in function.node_def}
    found = {name for name in types if _is_dynamic(name)}
    for part in _with_functions(graph, set()):
        for operation in part.get_operations():
            sized = [tensor for tensor in operation.outputs if tensor.dtype not in _WITHOUT_SHAPE]
            if not all(tensor.shape.is_fully_defined() for tensor in sized):
                found.add(operation.type)
    return sorted(found)


def _with_functions(graph: tf.Graph, seen: set[str]) -> Iterator[tf.Graph]:
    """A graph, and those of the functions that it calls; their definitions have no shapes."""
    yield graph
    for name, function in graph._functions.items():
        if name not in seen:
            seen.add(name)
            yield from _with_functions(function.graph, seen)


def _is_dynamic(name: str) -> bool:
    sparse = name.startswith("Sparse") and name != _SPARSE_BUT_STATIC
    return sparse or name in _DYNAMIC or name.startswith(_DYNAMIC_PREFIXES)


def traced_step(model: tf.keras.Model, batch: Mapping | tuple[Mapping, ...]):
    """The concrete function of a model's training step, under plain gradient descent, which makes no other variables.

    Args:
        model: a `Trainable` that is trained nowhere else; it is compiled here, and takes whole gradients.
        batch: arrays of a step; those of other steps have the same shapes.
    """
    model.compile(optimizer=tf.keras.optimizers.SGD(0.0))
    model.optimizer.build(model.trainable_variables)
    model.whole_gradients = True
    specs = tf.nest.map_structure(lambda array: tf.TensorSpec(np.shape(array), array.dtype), batch)
    return tf.function(model.train_step).get_concrete_function(specs)


def check_static_shapes(model: tf.keras.Model, batch: Mapping | tuple[Mapping, ...]) -> None:
    """Refuses a model whose step cannot be compiled for a TPU.

    Args:
        model: see `traced_step`.
        batch: arrays of a step.

    Raises:
        UsageError: it has operations of no fixed size.
    """
    found = dynamic_operations(traced_step(model, batch).graph)
    if found:
        raise UsageError(
            f"strategy tpu needs a training step whose sizes are all known before it runs, but that of this model has "
            f"{', '.join(found)}: take strategy cpu or mirrored, or other settings; two_tower can be trained with "
            "loss=multinomial or full_softmax, and with loss=sampled_softmax while frequencies are counted "
            "(global_batch_size given, count_frequencies=true)"
        )
