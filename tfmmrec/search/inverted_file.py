"""An index that scores the candidates of some cells, and all of them where those do not suffice."""

from __future__ import annotations

import tensorflow as tf

from tfmmrec.search.admission import Admission
from tfmmrec.search.called_graph import called
from tfmmrec.search.cells import Cells
from tfmmrec.search.exact import ExactIndex
from tfmmrec.search.exact_head import exact_head
from tfmmrec.search.filter_columns import Replacements
from tfmmrec.search.question import Question

RESCORED = 156
"""How many more candidates than are asked for get their exact scores."""

WIDEST = 4
"""Beyond this part of all cells (1/4), reading them in pieces is slower than scoring all candidates."""


class InvertedFileIndex(ExactIndex):
    """Candidates by cells, of which a query reads the nearest (`Cells`), and exact scores of the best found there.

    Answers are approximate in one way only: a candidate whose cell is not read is not found. Every score is exact, in
    float32 with the vectors of the index itself. Where fewer candidates than are asked for pass the filters and reach
    the least score, the next twice as many cells are read, and so on; when that becomes more than a quarter of them,
    all candidates are scored.
    So there are always as many answers as an exact index would give. Popularity is ranked exactly.

    Args:
        cells: without candidates.
        Others as `ExactIndex` has them.

    Raises:
        UsageError: as `ExactIndex`.
    """

    def __init__(self, *arguments, cells: Cells, name: str = "index", **tables):
        self.cells = cells  # which the first replacement fills
        super().__init__(*arguments, name=name, **tables)

    def head(
        self, question: Question, admission: Admission, length: tf.Tensor, least: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `ExactIndex.head`, each row by itself; of equal scores any may come first."""
        length = tf.convert_to_tensor(length)
        least = tf.fill([question.size], -float("inf")) if least is None else least

        def one(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            values, rows = self._head(question.row(place), admission.row(place), length, least[place : place + 1])
            return values[0], rows[0]

        def each() -> tuple[tf.Tensor, tf.Tensor]:
            signature = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.int32)
            return tf.map_fn(one, tf.range(question.size), fn_output_signature=signature, parallel_iterations=2)

        def several() -> tuple[tf.Tensor, tf.Tensor]:
            return tf.cond(question.size > 0, each, lambda: (tf.zeros([0, length]), tf.zeros([0, length], tf.int32)))

        return tf.cond(question.size == 1, lambda: self._head(question, admission, length, least), called(several))

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        return super().arrays() | self.cells.arrays()

    def _derived(self, vectors: tf.Tensor, directions: tf.Tensor) -> Replacements:
        return self.cells.replacements(vectors, directions)

    def _head(
        self, question: Question, admission: Admission, length: tf.Tensor, least: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`head` of a batch of one."""
        num_cells = self.cells.num_cells
        first = tf.minimum(self.cells.probes, num_cells)
        first = tf.where(question.is_popular[0] | ~question.is_answerable[0], 2 * num_cells, first)

        def exact() -> tuple[tf.Tensor, tf.Tensor]:
            return exact_head(self, question, admission, length)

        def search(probes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            probe = lambda: self._probe(question, admission, length, probes)  # noqa: E731
            return tf.cond(probes <= num_cells, probe, called(exact))

        def is_short(probes: tf.Tensor, values: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
            last = values[0, -1]
            return (probes < num_cells) & ((last == -float("inf")) | (last < least[0]))  # nothing is less than NaN

        def widen(probes: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            wider = tf.where(2 * probes * WIDEST > num_cells, 2 * num_cells, 2 * probes)
            return wider, *search(wider)

        shapes = tf.TensorShape([]), tf.TensorShape([None, None]), tf.TensorShape([None, None])
        _, values, rows = tf.while_loop(is_short, widen, (first, *search(first)), shape_invariants=shapes)
        return values, rows

    def _probe(
        self, question: Question, admission: Admission, length: tf.Tensor, probes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The best of some cells: the best by the cells' vectors, ordered by the index's own."""
        lowest = -float("inf")
        rows, products = self.cells.scan(question.vectors, question.has_cosines, probes)
        known = tf.maximum(rows, 0)
        scores = (
            question.scores(self, products, tf.gather(self.norms.value(), known)) if question.has_cosines else products
        )
        scores = tf.where(rows >= 0, scores, lowest)
        scores = admission.passing(self, scores, lambda: tf.gather(self.filters.codes.value(), known))
        num_out = tf.math.count_nonzero(admission.out >= 0, dtype=tf.int32)
        values, places = tf.math.top_k(scores, tf.minimum(length + RESCORED + num_out, tf.size(rows)), sorted=False)
        chosen = tf.gather(known, places[0])
        exact = tf.matmul(question.vectors, tf.gather(self.vectors.value(), chosen), transpose_b=True)
        exact = question.scores(self, exact, tf.gather(self.norms.value(), chosen)) if question.has_cosines else exact
        exact = admission.drop_out(tf.where(values > lowest, exact, lowest), chosen)
        exact = tf.pad(exact, [[0, 0], [0, length]], constant_values=lowest)
        values, places = tf.math.top_k(exact, length)
        chosen = tf.gather(tf.pad(chosen, [[0, length]], constant_values=-1), places)
        return values, tf.where(values > lowest, chosen, -1)
