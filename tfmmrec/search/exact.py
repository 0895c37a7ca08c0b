"""An index that scores every candidate: a module with variables, which a saved model can be given anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfmmrec.encoders.vocabulary import VocabularyLookup
from tfmmrec.search.admission import Admission, without_rows
from tfmmrec.search.exact_head import SCORES_AT_ONCE, exact_head
from tfmmrec.search.filter_columns import FilterColumns, Replacements, assign_all, vocabulary_replacements
from tfmmrec.search.products import dot_products
from tfmmrec.search.question import Question
from tfmmrec.search.top_k import top_k_without_ties
from tfmmrec.types import UsageError


class ExactIndex(tf.Module):
    """Candidates' vectors with their ids, popularity and filter values.

    The first dimension of every variable is open. A saved model is given other candidates without any class of this
    package, and saved again with its signatures and their defaults:

        model = tf.saved_model.load("export")
        model.index.replace(ids, vectors, popularity, codes, values)  # and history_vectors, parts, where it has them
        signatures = {name: getattr(model, name) for name in model.signatures}
        tf.saved_model.save(model, "export_2", signatures=signatures)

    `replace` derives what is derived (sorted fingerprints, norms) inside the graph.

    Args:
        ids: `n` different strings.
        vectors: float32 `[n, dim]`.
        popularity: `[n]`, such as how often each was chosen; zeros when None.
        codes: int32 `[n, width]`, places in `values`, -1 = none; the first column is the main category, which `cap`
            counts. None for no filters.
        values: the filter values, different strings "feature=value" of at most 29 features.
        history_vectors: float32 `[n, history_dim]`, what histories pool; None where that is `vectors`.
        parts: float32 `[n, parts_dim]`, what a ranking model behind the index scores; None where there is none.

    Raises:
        UsageError: there is no candidate, or the arrays do not fit each other.
    """

    def __init__(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        popularity: np.ndarray | None = None,
        codes: np.ndarray | None = None,
        values: Sequence[str] = (),
        history_vectors: np.ndarray | None = None,
        parts: np.ndarray | None = None,
        name: str = "index",
    ):
        super().__init__(name=name)
        size = len(ids)
        popularity = np.zeros(size, np.float32) if popularity is None else np.asarray(popularity, np.float32)
        codes = np.full((size, 1), -1, np.int32) if codes is None else np.asarray(codes, np.int32)
        vectors = np.asarray(vectors, np.float32)
        if not size:
            raise UsageError("an index needs at least one candidate, got none")
        if vectors.ndim != 2 or len(vectors) != size or popularity.shape != (size,) or len(codes) != size:
            raise UsageError(
                f"an index of {size} candidates needs vectors [{size}, dim], popularity [{size}] and codes "
                f"[{size}, width], got {list(vectors.shape)}, {list(popularity.shape)} and {list(codes.shape)}"
            )
        tables = {"history_vectors": history_vectors, "parts": parts}
        self.tables: dict[str, tf.Variable] = {}
        for what, table in tables.items():
            if table is not None and len(table) != size:
                words = what.replace("_", " ")
                raise UsageError(f"an index of {size} candidates needs as many {words}, got {len(table)}")
        self.dim = vectors.shape[1]
        self.ids = self._open("ids", tf.zeros([0], tf.string))
        self.vectors = self._open("vectors", tf.zeros([0, self.dim]))
        self.norms = self._open("norms", tf.zeros([0]))
        self.center = tf.Variable(tf.zeros([self.dim]), trainable=False, name=f"{name}_center")
        self.popularity = self._open("popularity", tf.zeros([0]))
        self.lookup = VocabularyLookup((), name=f"{name}_ids")
        self.filters = FilterColumns(name=f"{name}_filters")
        signature = [
            tf.TensorSpec([None], tf.string, "ids"),
            tf.TensorSpec([None, self.dim], tf.float32, "vectors"),
            tf.TensorSpec([None], tf.float32, "popularity"),
            tf.TensorSpec([None, None], tf.int32, "codes"),
            tf.TensorSpec([None], tf.string, "values"),
        ]
        arrays = [tf.constant(list(ids), tf.string), vectors, popularity, codes, tf.constant(list(values), tf.string)]
        for what, table in tables.items():
            if table is not None:
                arrays.append(np.asarray(table, np.float32))
                self.tables[what] = self._open(what, tf.zeros([0, arrays[-1].shape[1]]))
                signature.append(tf.TensorSpec([None, arrays[-1].shape[1]], tf.float32, what))
        self.replace = tf.function(self._replace, autograph=False, input_signature=signature)
        self.replace(*arrays)

    def _open(self, what: str, empty: tf.Tensor) -> tf.Variable:
        return tf.Variable(empty, shape=[None, *empty.shape[1:]], trainable=False, name=f"{self.name}_{what}")

    def _replace(self, ids, vectors, popularity, codes, values, *tables):
        size = tf.shape(ids)[0]
        checks = [tf.debugging.assert_positive(size, message="an index needs at least one candidate")]
        tables = dict(zip(self.tables, tables, strict=True))
        aligned = {"vectors": vectors, "popularity": popularity, "codes": codes}
        for what, tensor in (aligned | tables).items():
            message = f"ids and {what} must have the same length"
            checks.append(tf.debugging.assert_equal(tf.shape(tensor)[0], size, message=message))
        is_finite = tf.reduce_all(tf.math.is_finite(vectors))
        checks.append(tf.debugging.assert_equal(is_finite, True, message="vectors must be finite numbers"))
        lookup, different = vocabulary_replacements(self.lookup, ids, "ids")
        filters, more = self.filters.replacements(codes, values)
        center = tf.reduce_mean(vectors, axis=0)
        center += tf.reduce_mean(vectors - center, axis=0)  # what the long sum's rounding had left
        differences = _without_rounding(vectors - center, vectors)
        norms = tf.norm(differences, axis=1)
        own = [
            (self.ids, ids),
            (self.vectors, vectors),
            (self.center, center),
            (self.norms, norms),
            (self.popularity, popularity),
        ]
        own += [(self.tables[what], table) for what, table in tables.items()]
        own += self._derived(vectors, tf.math.divide_no_nan(differences, norms[:, None]))
        assign_all([*own, *lookup, *filters], [*checks, different, *more])

    def _derived(self, vectors: tf.Tensor, directions: tf.Tensor) -> Replacements:
        """What a kind of index makes of the vectors and of the unit vectors of their differences, `[n, dim]` each."""
        return []

    @property
    def num_candidates(self) -> tf.Tensor:
        """int32 scalar."""
        return tf.shape(self.popularity)[0]  # reading the variable of strings would copy them all

    @property
    def history_vectors(self) -> tf.Variable | None:
        """What histories pool, float32 `[num_candidates, history_dim]`; None where that is `vectors`."""
        return self.tables.get("history_vectors")

    @property
    def parts(self) -> tf.Variable | None:
        """What a ranking model scores, float32 `[num_candidates, parts_dim]`; None where there is none."""
        return self.tables.get("parts")

    @property
    def pooled(self) -> tf.Tensor:
        """What histories pool, float32 `[num_candidates, any]`."""
        return tf.convert_to_tensor(self.vectors if self.history_vectors is None else self.history_vectors)

    def rows_of(self, ids: tf.Tensor) -> tf.Tensor:
        """Ids of any shape -> int32 rows of the same shape, -1 where unknown or empty."""
        return self.lookup(ids)

    def head(
        self, question: Question, admission: Admission, length: tf.Tensor, least: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The best of the candidates that pass, never fewer than `length` where there are so many.

        Args:
            question: what they are scored by.
            admission: which of them pass.
            length: int32 scalar, at least 1.
            least: float32 `[batch]`, scores that matter: as many as reach them are found, up to `length`, by an
                approximate index too. Lower ones are not taken out. NaN, or None, where all matter alike.

        Returns:
            Scores `[batch, length]` in descending order and rows int32 `[batch, length]`; −inf and −1 where a row has
            no more.
        """
        return exact_head(self, question, admission, length)

    def has_plain_head(self, question: Question) -> tf.Tensor:
        """Whether `plain_head` can be asked, bool scalar: all scores can be held at once."""
        return self.num_candidates <= SCORES_AT_ONCE // tf.maximum(question.size, 1)

    def plain_head(
        self, question: Question, out: tf.Tensor, length: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """`head` where it is simple: of questions that all have an answer, and none of them by popularity.

        Args:
            question: what they are scored by.
            out: int32 `[batch, any]`, rows that are left out, -1 = none.
            length: int32 scalar, at least 1.

        Returns:
            Scores and rows as `head` has them, and bool scalar, whether they are right: if not, `head` must be asked.
        """
        products = dot_products(question.vectors, self.vectors.value())
        scores = without_rows(question.scores(self, products, self.norms), out)
        return top_k_without_ties(scores, length)

    def tells_apart(self, vectors: tf.Tensor) -> tf.Tensor:
        """Whether a vector's products with the candidates' differ at all: `[batch, dim]` -> bool `[batch]`."""
        step = tf.maximum(SCORES_AT_ONCE // tf.maximum(tf.shape(vectors)[0], 1), 1)

        def extremes(start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            products = tf.matmul(vectors, self.vectors[start:end], transpose_b=True)
            return tf.reduce_min(products, axis=1), tf.reduce_max(products, axis=1)

        def widened(start: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            least, most = extremes(start, start + step)
            return start + step, tf.minimum(low, least), tf.maximum(high, most)

        low, high = extremes(tf.constant(0), tf.constant(256))
        is_short = tf.reduce_any(low == high)  # the first differ for nearly every query
        shapes = tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])
        _, low, high = tf.while_loop(
            lambda start, *_: is_short & (start < self.num_candidates), widened, (0, low, high), shape_invariants=shapes
        )
        return high > low

    def differences(self, rows: tf.Tensor) -> tf.Tensor:
        """What distinguishes candidates, for `cosines`: int32 rows `[batch]` -> float32 `[batch, dim]`."""
        vectors = tf.gather(self.vectors.value(), rows)
        return _without_rounding(vectors - self.center, vectors)

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        return dict(self.tables) | {
            "ids": self.ids,
            "vectors": self.vectors,
            "norms": self.norms,
            "center": self.center,
            "popularity": self.popularity,
            "id_fingerprints": self.lookup.fingerprints,
            "id_rows": self.lookup.rows,
            "filter_codes": self.filters.codes,
            "filter_value_features": self.filters.value_features,
            "filter_value_fingerprints": self.filters.values.fingerprints,
            "filter_value_rows": self.filters.values.rows,
            "filter_feature_fingerprints": self.filters.features.fingerprints,
            "filter_feature_rows": self.filters.features.rows,
        }


def _without_rounding(differences: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """Differences from a mean, zero where they are no more than the rounding of the mean."""
    norms, whole = tf.norm(differences, axis=1, keepdims=True), tf.norm(vectors, axis=1, keepdims=True)
    return tf.where(norms > 1e-5 * whole, differences, tf.zeros_like(differences))
