"""MMGCN over the whole graph, modality by modality, in NumPy."""

import numpy as np


def leaky(values):
    return np.where(values > 0, values, 0.01 * values)


def weights_of(propagation):
    """Of each modality its projection and, of each layer, W_1, W_2 and W_3."""
    layers = [
        [w.numpy() for w in (layer.of_mean, layer.of_own, layer.of_both)] for layer in propagation.of_query.layers
    ]
    return [
        (project.kernel.numpy(), [[matrices[place] for matrices in layer] for layer in layers])
        for place, project in enumerate(propagation.projections)
    ]


def propagated(adjacency, queries, candidates, content, weights):
    """Equations 1, 5, 6 or 7, and 9 of the paper: the nodes' vectors, of queries and of candidates.

    Args:
        adjacency: 0/1 `[num_queries, num_candidates]`.
        queries: `[num_queries, (1 + num_modalities) * dim]`, of each the id's embedding and a vector for each modality.
        candidates: `[num_candidates, dim]`, embeddings of ids.
        content: name -> `[num_candidates, dim_m]`.
        weights: of `weights_of`.
    """
    num_queries, dim = len(queries), candidates.shape[1]
    whole = np.zeros((num_queries + len(candidates),) * 2)
    whole[:num_queries, num_queries:] = adjacency
    whole += whole.T
    mean = whole / np.maximum(whole.sum(axis=1, keepdims=True), 1)
    identity = np.concatenate([queries[:, :dim], candidates])
    total = np.zeros_like(identity)
    for place, (name, (projection, layers)) in enumerate(zip(sorted(content), weights, strict=True)):
        preference = queries[:, (1 + place) * dim : (2 + place) * dim]
        nodes = np.concatenate([preference, content[name] @ projection])
        for first, second, third in layers:
            gathered = leaky(mean @ nodes @ first)
            own = leaky(nodes @ second) + identity
            joined = len(third) == 2 * dim
            nodes = leaky(np.concatenate([gathered, own], axis=1) @ third if joined else gathered @ third + own)
        total += nodes
    return np.split(total, [num_queries])
