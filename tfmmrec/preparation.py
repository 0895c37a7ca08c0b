"""What is computed once before a training: preprocessed tables, and the vectors of cached encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfmmrec.collaborative import category_targets, collaborative_factors, fit_encoder
from tfmmrec.data.batches import Tables
from tfmmrec.data.dataset import Dataset, Interactions
from tfmmrec.embedding import Progress, cacheable, center, preprocess_entities
from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.text import TextEncoder
from tfmmrec.encoders.text_tokens import WordTokens
from tfmmrec.latent_semantics import latent_semantics
from tfmmrec.runs import RunConfig, save_arrays, write_start
from tfmmrec.towers import Tower
from tfmmrec.transfer import transfer_weights

_FACTORS = 32  # of the interactions, that the small networks learn to predict
_MEAN_ROWS = 512  # from which the mean of a pretrained encoder's vectors is taken
_MEAN_BATCH = 16  # at a time: of videos a row has many pictures


@dataclass
class Prepared:
    """What the steps of a training gather from.

    Attributes:
        query_tables: preprocessed query features.
        candidate_tables: preprocessed candidate features; of cached ones `vector` and `present`.
        encoder_weights: cached feature -> weights of its encoder, where it was trained here.
        means: feature -> mean of its pretrained encoder's vectors, float32 `[dim]`, see `MeanCentering`.
    """

    query_tables: Tables
    candidate_tables: dict[str, dict[str, np.ndarray]]
    encoder_weights: dict[str, list[np.ndarray]] = field(default_factory=dict)
    means: dict[str, np.ndarray] = field(default_factory=dict)

    def give(self, model: tf.keras.Model) -> None:
        """Assigns to a built model's encoders what was learned of them."""
        encoders = model.candidate_tower.encoders
        for name, weights in self.encoder_weights.items():
            encoders[name].set_weights(weights)
        for name, mean in self.means.items():
            encoders[name].centering.mean.assign(mean)


def prepare(
    model: tf.keras.Model,
    dataset: Dataset,
    config: RunConfig,
    interactions: Interactions,
    folder: Path,
    progress: Progress | None = None,
    start: tf.keras.Model | None = None,
) -> Prepared:
    """Preprocesses both sides once; learns words, trains the small networks for a while, runs cached encoders.

    Args:
        model: a built model, whose towers' encoders are used (and, where they are ours and cached, trained).
        dataset: the features.
        config: of the run.
        interactions: what the small networks may learn from.
        folder: of the run; vectors of our own cached encoders are kept there, so that a resumed training has the same,
            and what was taken of `start`.
        progress: told what has been done.
        start: a trained model, whose words and small networks are taken where it has them: they learn nothing anew.
    """
    schema, tower = config.data_schema, model.candidate_tower
    features = schema.candidates.features
    own = tuple(sorted(set(tower.encoders) - set(tower.cached_features)))
    prepared = Prepared(
        preprocess_entities(model.query_tower, dataset.queries, schema.queries.features, progress=progress),
        preprocess_entities(tower, dataset.candidates, features, only=own, progress=progress),
    )
    taken = {} if start is None else transfer_weights(start, model)
    if start is not None:
        write_start(folder, taken)
    learned = {name for name in tower.encoders if taken.get(f"candidate_tower/{name}", 0.0) > 0.0}
    for name, encoder in tower.encoders.items():
        if isinstance(encoder, TextEncoder) and encoder.mode == "finetuned":
            if name not in learned:
                _learn_words(encoder, prepared.candidate_tables[name]["words"], config.options["seed"])
            prepared.encoder_weights[name] = encoder.get_weights()
    prepared.encoder_weights |= _shared_words(tower, prepared.candidate_tables, config.options["seed"])
    for name in tower.cached_features:
        path, encoder = folder / "encoders" / f"{name}.npz", tower.encoders[name]
        if encoder.presence is None and not isinstance(encoder, TextEncoder):  # the feature store has its vectors
            dtype = config.options.get("store_dtype", "float32")
            prepared.candidate_tables |= preprocess_entities(
                tower, dataset.candidates, features, (name,), only=(name,), progress=progress, store_dtype=dtype
            )
            continue
        if not path.exists():
            _write_cached(
                path, name, encoder, name in learned, model, dataset, config, interactions, prepared, progress
            )
        with np.load(path) as kept:
            weights = [kept[key] for key in sorted(kept) if key.startswith("weight_")]
            prepared.candidate_tables[name] = {key: kept[key] for key in kept if not key.startswith("weight_")}
        if weights:
            prepared.encoder_weights[name] = weights
    chosen = np.flatnonzero(interactions.counts())
    for name, encoder in tower.encoders.items():
        if getattr(encoder, "centering", None) is not None:
            table = prepared.candidate_tables[name]
            prepared.means[name] = _mean(encoder, table, chosen)
            if name in tower.cached_features:
                center(table, prepared.means[name])
    return prepared


def _mean(encoder: Encoder, table: Mapping[str, np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Of a pretrained encoder's vectors, over some of the rows that have one, evenly spread: float32 `[dim]`."""
    there = rows[table["present" if "present" in table else "given"][rows]]
    rows = there[np.linspace(0, len(there) - 1, min(len(there), _MEAN_ROWS)).astype(int)]
    found = {key: array[rows if len(rows) else slice(1)] for key, array in table.items()}
    if "vector" not in found:
        found = encode(encoder, found, terms=False, batch_size=_MEAN_BATCH)
    return np.mean(found["vector"], axis=0) if len(rows) else np.zeros(found["vector"].shape[1], np.float32)


def _write_cached(path, name, encoder, learned, model, dataset, config, interactions, prepared, progress) -> None:
    tower, features, seed = model.candidate_tower, config.data_schema.candidates.features, config.options["seed"]
    inputs = preprocess_entities(tower, dataset.candidates, features, only=(name,), progress=progress)[name]
    encoder.trainable = True  # it has to learn before it can be cached
    if learned:
        pass  # by another model
    elif isinstance(encoder, TextEncoder):
        _learn_words(encoder, inputs["words"], seed)
    else:
        factors = collaborative_factors(interactions, _FACTORS, seed)
        categories = category_targets(prepared.candidate_tables)
        steps = config.options["image_steps"]
        tf.keras.utils.set_random_seed(seed)  # a resumed training has not drawn what came before
        present = inputs[encoder.presence]
        fit_encoder(encoder, inputs, present, factors, categories, num_steps=steps, seed=seed, progress=progress)
    encoder.trainable = False
    weights = {f"weight_{place:03d}": value for place, value in enumerate(encoder.get_weights())}
    save_arrays(path, encode(encoder, inputs, tower.reads_terms, progress=progress) | weights)


def _learn_words(encoder: TextEncoder, words: np.ndarray, seed: int) -> None:
    encoder.embeddings.assign(latent_semantics(words, encoder.word_weights.numpy(), encoder.dim, seed))


def _shared_words(tower: Tower, tables: Tables, seed: int) -> dict[str, list[np.ndarray]]:
    """Latent semantics of the words of all texts that share a table -> the weights of one of them, which has it."""
    names = [name for name, encoder in tower.encoders.items() if isinstance(encoder, WordTokens)]
    if not names:
        return {}
    words = np.concatenate([tables[name]["tokens"] - 1 for name in names], axis=1)  # [num_candidates, all words]
    first = tower.encoders[names[0]]
    if first.table.vocabulary:
        first.table.begin_with(latent_semantics(words, np.asarray(first.table.idf), first.table.dim, seed))
    return {names[0]: first.get_weights()}


def encode(
    encoder: Encoder,
    inputs: dict[str, np.ndarray],
    terms: bool,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> dict[str, np.ndarray]:
    """Runs an encoder over preprocessed tensors `[rows, ...]`: what `cacheable` says."""
    embed = tf.function(lambda batch: cacheable(encoder(batch, training=False), terms), reduce_retracing=True)
    size = len(next(iter(inputs.values())))
    parts = []
    for start in range(0, size, batch_size):
        found = embed({key: tf.constant(array[start : start + batch_size]) for key, array in inputs.items()})
        parts.append({key: tensor.numpy() for key, tensor in found.items()})
        if progress is not None:
            progress(f"{encoder.name}: encoding", min(start + batch_size, size), size)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
