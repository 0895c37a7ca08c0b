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


def content_graph(vectors, num_neighbors, weight):
    """D^(-1/2) S D^(-1/2): S has a weight of the cosine with each of a row's nearest among the rows that are there."""
    there = np.flatnonzero(np.abs(vectors).max(axis=1) > 0)
    unit = vectors[there] / np.linalg.norm(vectors[there], axis=1, keepdims=True)
    graph = np.zeros((len(vectors), len(vectors)))
    for row, cosines in zip(there, unit @ unit.T, strict=True):
        for place in np.argsort(-cosines, kind="stable")[:num_neighbors]:
            graph[row, there[place]] = weight(cosines[place])
    sums = graph.sum(axis=1)
    root = np.where(sums > 0, np.maximum(sums, 1e-12) ** -0.5, 0.0)
    return root[:, None] * graph * root
