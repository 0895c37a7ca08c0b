"""What candidates are scored by: products with queries' vectors, popularity, or cosines."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfmmrec.search.called_graph import called
from tfmmrec.search.products import dot_products


class Question(NamedTuple):
    """A batch of questions to an index.

    Attributes:
        vectors: float32 `[batch, dim]`, whose dot products with candidates' vectors are the scores; for cosines what
            distinguishes something from the mean, at any length.
        is_popular: bool `[batch]`, rows whose scores are the candidates' popularity.
        is_answerable: bool `[batch]`, the others get no candidates at all.
        has_cosines: whether scores are cosines with what distinguishes each candidate, its vector less the mean of
            all (`center`); 0 where there is no difference. Nothing is popular then.
    """

    vectors: tf.Tensor
    is_popular: tf.Tensor
    is_answerable: tf.Tensor
    has_cosines: bool = False

    @property
    def size(self) -> tf.Tensor:
        """The batch, int32 scalar."""
        return tf.shape(self.vectors)[0]

    def row(self, place: tf.Tensor) -> Question:
        """One row of it as a batch of one."""
        return Question(*(tensor[place : place + 1] for tensor in self[:3]), self.has_cosines)

    def some(self, places: tf.Tensor) -> Question:
        """Some rows of it, int32 `[n]`."""
        return Question(*(tf.gather(tensor, places) for tensor in self[:3]), self.has_cosines)

    def block(self, index, start: tf.Tensor | None = None, end: tf.Tensor | None = None) -> tf.Tensor:
        """Scores of the rows `start` to `end` of an index, or of all: float32 `[batch, end - start]`, newly made."""

        def part(variable: tf.Variable) -> tf.Tensor:
            return variable.value() if start is None else variable[start:end]

        def products() -> tf.Tensor:
            found = dot_products(self.vectors, part(index.vectors))
            return self.scores(index, found, part(index.norms)) if self.has_cosines else found

        def popularity() -> tf.Tensor:
            return tf.zeros([self.size, 1]) + part(index.popularity)  # never the variable's own memory

        def mixed() -> tf.Tensor:
            return tf.where(self.is_popular[:, None], part(index.popularity), products())

        def some_are_popular() -> tf.Tensor:
            return tf.cond(tf.reduce_all(self.is_popular), popularity, mixed)  # the first needs no product at all

        if self.has_cosines:
            return products()
        return tf.cond(tf.reduce_any(self.is_popular), called(some_are_popular), products)

    def scores(self, index, products: tf.Tensor, norms: tf.Tensor) -> tf.Tensor:
        """Dot products `[batch, n]` with candidates' vectors, and the candidates' norms `[n]` -> scores."""
        if not self.has_cosines:
            return products
        differences = products - tf.linalg.matvec(self.vectors, index.center)[:, None]
        return tf.clip_by_value(tf.math.divide_no_nan(differences, norms), -1.0, 1.0)


def by_products(vectors: tf.Tensor, is_popular: tf.Tensor) -> Question:
    """Vectors float32 `[batch, dim]`, and which rows are asked for what is popular, bool `[batch]`."""
    is_finite = tf.reduce_all(tf.math.is_finite(vectors), axis=1)
    mended = called(lambda: tf.where(is_finite[:, None], vectors, 0.0))
    return Question(tf.cond(tf.reduce_all(is_finite), lambda: vectors, mended), is_popular, is_finite | is_popular)


def by_cosines(differences: tf.Tensor, is_known: tf.Tensor) -> Question:
    """Vectors less what is their mean, float32 `[batch, dim]`, and which rows are asked for at all, bool `[batch]`."""
    is_answerable = is_known & tf.reduce_all(tf.math.is_finite(differences), axis=1)
    directions = tf.math.l2_normalize(tf.where(is_answerable[:, None], differences, 0.0), axis=1)
    return Question(directions, tf.zeros_like(is_known), is_answerable, has_cosines=True)
