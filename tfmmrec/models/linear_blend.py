"""This library's own model of histories: a two-tower model with a linear autoencoder in closed form beside it."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from tfmmrec.data.dataset import Interactions
from tfmmrec.data.statistics import Statistics
from tfmmrec.encoders.factor_identifier import FactorIdentifier
from tfmmrec.encoders.identifier import IdentifierEncoder
from tfmmrec.fusion.beside_factors import BesideFactors
from tfmmrec.fusion.beside_history import BesideHistory
from tfmmrec.fusion.graph import GraphFusion
from tfmmrec.linear_autoencoder import factors_bytes, linear_factors
from tfmmrec.memory import check_memory
from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.models.two_tower import TwoTower
from tfmmrec.models.two_tower_builder import build_two_tower
from tfmmrec.schema import Schema
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

_BATCH = 4096


class LinearBlend(TwoTower):
    """score = ⟨q, c⟩ + α ⟨mean_h reading_h, scoring_c⟩ over the history h; the loss sees the first term alone.

    The second term is a linear autoencoder of low rank, see `linear_factors`, which is not trained but set by
    `set_interactions`. Trained together, the first term would learn what the second misses of interactions that it
    has seen; apart, each makes mistakes of its own. α is set so that, over the candidates, the second term's standard
    deviation is `blend` times the first's.

    A candidate that train does not have is predicted from its content in both terms: by the candidate tower, and by a
    ridge regression of the factors on content, see `BesideFactors`. Vectors have both terms' parts side by side.

    Args:
        query_tower: fuses by a `BesideHistory`.
        candidate_tower: fuses by a `BesideFactors`, its id is a `FactorIdentifier`.
        history_tower: as the candidate tower.
        blend: see above; 0 leaves the second term out.
        linear: the arguments of `linear_factors` without the interactions.
        content_l2: of the ridge regression.
        **options: see `TwoTower`.

    Raises:
        UsageError: a number out of range.
    """

    settles = True

    def __init__(
        self,
        query_tower: Tower,
        candidate_tower: Tower,
        *,
        history_tower: Tower,
        blend: float,
        linear: dict[str, float],
        content_l2: float,
        **options,
    ):
        super().__init__(query_tower, candidate_tower, history_tower=history_tower, **options)
        if not blend >= 0 or not content_l2 > 0:
            raise UsageError(f"blend must be 0 or more and content_l2 positive, got {blend} and {content_l2}")
        if not 0 <= linear["dropout"] < 1 or not linear["l2"] > 0 or not 0 <= linear["exponent"] <= 1:
            raise UsageError(
                "linear_dropout must lie in [0, 1), linear_l2 be positive and linear_exponent lie in [0, 1], got "
                f"{linear['dropout']}, {linear['l2']} and {linear['exponent']}"
            )
        self.blend = blend
        self.linear = dict(linear)
        self.content_l2 = content_l2
        self._known = np.flatnonzero(self._candidate_mask.numpy())

    def set_interactions(self, interactions: Interactions) -> None:
        """Computes the factors of the known candidates from what the model trains on."""
        check_memory(
            f"linear_blend over {self._known.size:,} candidates",
            factors_bytes(self._known.size),
            None,
            "take two_tower, which compares no pairs of candidates",
        )
        chosen = interactions.matrix()[:, self._known]
        factors = linear_factors(chosen, self.candidate_tower.fusion.rank, **self.linear)
        self.candidate_tower.encoders["id"].set_factors(factors.scoring)
        self.history_tower.encoders["id"].set_factors(factors.reading)

    @property
    def content_changes(self) -> bool:
        """Whether training changes what the factors are predicted from, so that `fit_content` is due again."""
        tower = self.candidate_tower
        read = set(tower.encoders) - {"id", *tower.fusion.num_terms}
        return any(tower.encoders[name].trainable_weights for name in read)

    def fit_content(self) -> None:
        """Fits what a candidate's content says of its factors, with the encoders as they are."""
        for tower in (self.candidate_tower, self.history_tower):
            parts = []
            for start in range(0, self._known.size, _BATCH):
                rows = self._known[start : start + _BATCH]
                features = {name: self._features()[name] for name in tower.encoders}
                features = tf.nest.map_structure(partial(tf.gather, indices=rows), features)
                parts.append(_matrix(tower.fusion.content(tower.encode(features, training=False))))
            factors = tower.encoders["id"].factors.numpy()
            tower.fusion.fit_content(sp.vstack(parts, "csr"), factors[: self._known.size], self.content_l2)

    def fit_scale(self, queries: np.ndarray, candidates: np.ndarray) -> None:
        """Sets α by some queries' and all candidates' vectors, `[n, dim + rank]` and `[num_candidates, dim + rank]`."""
        fusion, known = self.query_tower.fusion, candidates[self._known]
        trained = (queries[:, : -fusion.rank] @ known[:, : -fusion.rank].T).std(axis=1).mean()
        linear = (queries[:, -fusion.rank :] @ known[:, -fusion.rank :].T).std(axis=1).mean()
        if linear > 0 and trained > 0:
            fusion.set_scale(float(fusion.scale.numpy() * trained / linear) * self.blend)


_OF_OTHERS = [
    "candidate_id",
    "identifier",
    "identifier_buckets",
    "query_identifier_buckets",
    "history",
    "history_tower",
    "history_encoder",
    "num_history_layers",
    "num_history_heads",
    "causal_history",
    "normalize",
    "alignment",
    "alignment_weight",
    "global_batch_size",
    "count_frequencies",
    "negatives",
    "num_negatives",
    "num_mined",
    "mined_depth",
    "hard_negatives",
    "mask_known_positives",
]


@inherits_settings(build_two_tower, without=_OF_OTHERS)
def build_linear_blend(
    schema: Schema,
    statistics: Statistics,
    *,
    rank: int = 256,
    blend: float = 0.5,
    linear_dropout: float = 0.5,
    linear_l2: float = 1.0,
    linear_exponent: float = 0.25,
    content_l2: float = 5.0,
    loss: str = "multinomial",
    fusion: str = "early",
    **settings,
) -> LinearBlend:
    """Builds a two-tower model with a linear autoencoder beside it.

    Args:
        schema: the dataset's description; it must have a history.
        statistics: what was counted of it.
        rank: size of the linear factors.
        blend: what the linear scores count, beside the trained ones; 0 leaves them out.
        linear_dropout: share of a history's entries that the linear autoencoder does without.
        linear_l2: its regularisation, in units of the mean number of queries that chose a candidate.
        linear_exponent: a query counts 1 / (its number of choices) ** (2 * linear_exponent) in it.
        content_l2: regularisation of the linear factors' prediction from content.
        loss: multinomial or full_softmax.
        fusion: early, attention, gated, cross_attention, tensor or low_rank.
        **settings: of `build_two_tower`.

    Raises:
        UsageError: the schema has no history, another loss or fusion, or a number out of range.
    """
    if schema.queries.history is None:
        raise UsageError("linear_blend reads histories, this dataset has none; set queries.history in its config")
    if loss not in ("multinomial", "full_softmax"):
        raise UsageError(f"linear_blend's loss must be multinomial or full_softmax, got {loss!r}")

    def make(query_tower: Tower, candidate_tower: Tower, *, history_tower: Tower, **options) -> LinearBlend:
        inner = candidate_tower.fusion
        if getattr(inner, "stands_last", False) or isinstance(inner, GraphFusion):
            raise UsageError(
                "linear_blend takes fusion=early, attention, gated, cross_attention, tensor or low_rank, "
                f"got {fusion!r}"
            )
        return LinearBlend(
            Tower(
                query_tower.encoders,
                BesideHistory(query_tower.fusion, history_tower.fusion.dim, rank, name="beside"),
                name="query_tower",
            ),
            _with_factors(candidate_tower, rank),
            history_tower=_with_factors(history_tower, rank),
            blend=blend,
            linear={"dropout": linear_dropout, "l2": linear_l2, "exponent": linear_exponent},
            content_l2=content_l2,
            **options,
        )

    return build_two_tower(schema, statistics, make, fusion=fusion, loss=loss, **settings)


def _with_factors(tower: Tower, rank: int) -> Tower:
    known: IdentifierEncoder = tower.encoders["id"]
    identity = FactorIdentifier(known.vocabulary, known.dim, rank, dropout=known.dropout, name="id")
    encoders = tower.encoders | {"id": identity}
    terms = {name: encoder.num_terms for name, encoder in tower.encoders.items() if name != "id" and encoder.num_terms}
    return Tower(encoders, BesideFactors(tower.fusion, rank, num_terms=terms, name="beside"), name=tower.name)


def _matrix(tensor: tf.SparseTensor) -> sp.csr_matrix:
    rows, columns = tensor.indices.numpy().T
    return sp.csr_matrix((tensor.values.numpy(), (rows, columns)), shape=tuple(tensor.shape))  # equal places add up
