"""A bounded training of an encoder on the catalogue, before the towers are trained.

A small network that sees pictures is too costly for every step. Here it learns to predict, from the picture alone, what
the interactions say of a candidate: its collaborative factors (van den Oord et al. 2013, "Deep content-based music
recommendation") and its categories. After that its vectors are cached.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse
import tensorflow as tf

from tfmmrec.data.dataset import Interactions
from tfmmrec.embedding import Progress
from tfmmrec.encoders.encoder import Encoder
from tfmmrec.singular_vectors import largest_singular_vectors


def collaborative_factors(interactions: Interactions, dim: int, seed: int = 0) -> np.ndarray:
    """Unit factors of the candidates, float32 `[num_candidates, dim]`; zero where nobody chose the candidate.

    The left singular vectors, scaled by the root of their singular values, of the degree-normalised interactions
    D_c^-½ A D_q^-½ without the first pair, which is popularity.
    """
    counts = scipy.sparse.csr_matrix(
        (np.ones(interactions.num_rows, np.float32), interactions.indices, interactions.indptr),
        shape=(interactions.num_queries, interactions.num_candidates),
    )
    query_scale = 1.0 / np.sqrt(np.maximum(counts.sum(axis=1).A1, 1.0))
    candidate_scale = 1.0 / np.sqrt(np.maximum(counts.sum(axis=0).A1, 1.0))
    scaled = scipy.sparse.diags(query_scale) @ counts @ scipy.sparse.diags(candidate_scale)
    rank = min(dim + 1, min(scaled.shape) - 1)
    if rank < 1:
        return np.zeros((interactions.num_candidates, dim), np.float32)
    start = np.random.default_rng(seed).standard_normal(min(scaled.shape))
    values, right = largest_singular_vectors(scaled.astype(np.float64), rank, start, (0.0, 1e-7, 1e-2))
    factors = right[1:].T * np.sqrt(values[1:])
    factors /= np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), 1e-9)
    factors[interactions.counts() == 0] = 0.0
    padded = np.zeros((interactions.num_candidates, dim), np.float32)
    padded[:, : factors.shape[1]] = factors
    return padded


def category_targets(tables: Mapping[str, Mapping[str, np.ndarray]]) -> np.ndarray:
    """Multi-hot values of all category features, float32 `[num_candidates, values]`."""
    parts = []
    for arrays in tables.values():
        if "codes" in arrays:
            codes = arrays["codes"]
            hot = np.zeros((len(codes), int(codes.max(initial=0)) + 1), np.float32)
            rows, places = np.nonzero(codes >= 0)
            hot[rows, codes[rows, places]] = 1.0
            parts.append(hot)
    return np.concatenate(parts, axis=1) if parts else np.zeros((0, 0), np.float32)


def fit_encoder(
    encoder: Encoder,
    inputs: Mapping[str, np.ndarray],
    present: np.ndarray,
    factors: np.ndarray,
    categories: np.ndarray,
    num_steps: int = 600,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[float]:
    """Trains an encoder for a bounded number of steps on candidates that have it and were chosen by someone.

    The loss is 1 − cos(P v, factors) + the mean binary cross-entropy of the categories from v, P a linear map that is
    thrown away afterwards, as is the map to the categories. The learning rate falls to zero along a cosine.

    Args:
        encoder: trained in place.
        inputs: its preprocessed tensors, `[num_candidates, ...]`.
        present: bool `[num_candidates]`, whether the candidate has the modality.
        factors: `collaborative_factors`.
        categories: `category_targets`, or an array without columns.
        num_steps: how many steps.
        batch_size: candidates in a step.
        learning_rate: of Adam, at the start.
        seed: of the batches.
        progress: told what has been done.

    Returns:
        The loss of each step; empty when fewer than `batch_size` candidates can be learnt from.
    """
    usable = np.flatnonzero(
        present & ((np.abs(factors).sum(axis=1) > 0) | (categories.sum(axis=1) > 0 if categories.size else False))
    )
    if usable.size < batch_size:
        return []
    schedule = tf.keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    optimizer = tf.keras.optimizers.AdamW(schedule, weight_decay=1e-2)
    scales_loss = encoder.compute_dtype == "float16"
    if scales_loss:
        optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    to_factors = tf.keras.layers.Dense(factors.shape[1], use_bias=False, dtype="float32")
    to_categories = tf.keras.layers.Dense(categories.shape[1], dtype="float32") if categories.size else None

    @tf.function(reduce_retracing=True)
    def step(batch, factor_targets, category_targets):
        with tf.GradientTape() as tape:
            vector = tf.cast(encoder(batch, training=True)["vector"], tf.float32)
            agreement = tf.math.l2_normalize(to_factors(vector), axis=1) * factor_targets
            loss = 1.0 - tf.reduce_mean(tf.reduce_sum(agreement, axis=1))
            if to_categories is not None:
                logits = to_categories(vector)
                loss += tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(category_targets, logits))
            scaled = optimizer.get_scaled_loss(loss) if scales_loss else loss
        heads = to_factors.trainable_variables + (to_categories.trainable_variables if to_categories else [])
        variables = encoder.trainable_variables + heads
        gradients = tape.gradient(scaled, variables)
        if scales_loss:
            gradients = optimizer.get_unscaled_gradients(gradients)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    random = np.random.default_rng(seed)
    losses = []
    for number in range(num_steps):
        rows = np.sort(random.choice(usable, batch_size, replace=False))
        batch = {key: tf.constant(array[rows]) for key, array in inputs.items()}
        targets = categories[rows] if categories.size else np.zeros((batch_size, 0), np.float32)
        losses.append(float(step(batch, tf.constant(factors[rows]), tf.constant(targets))))
        if progress is not None:
            progress(f"{encoder.name}: training", number + 1, num_steps)
    return losses
