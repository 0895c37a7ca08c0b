"""LightGCN over the matrix of the whole graph, in NumPy."""

import numpy as np


def propagated(adjacency, queries, candidates, num_layers):
    """The paper's equation 8: the mean of the powers of the normalised matrix of the whole graph."""
    nodes = np.concatenate([queries, candidates])
    whole = np.zeros((len(nodes), len(nodes)))
    whole[: len(queries), len(queries) :] = adjacency
    whole += whole.T
    root = np.maximum(whole.sum(axis=1), 1) ** -0.5
    whole = root[:, None] * whole * root
    layers = [np.linalg.matrix_power(whole, layer) @ nodes for layer in range(num_layers + 1)]
    return np.split(np.mean(layers, axis=0), [len(queries)])
