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
from tfmmrec.search.scann_cells import ScannCells

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
        cells: without candidates; `ScannCells` where the server has ScaNN's operations.
        Others as `ExactIndex` has them.

    Raises:
        UsageError: as `ExactIndex`.
    """

    def __init__(self, *arguments, cells: Cells | ScannCells, name: str = "index", **tables):
        self.cells = cells  # which the first replacement fills
        super().__init__(*arguments, name=name, **tables)

    def head(
        self, question: Question, admission: Admission, length: tf.Tensor, least: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `ExactIndex.head`, each row by itself; of equal scores any may come first."""
        if not self._has_cells_for(question):
            return super().head(question, admission, length, least)
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

    def has_plain_head(self, question: Question) -> tf.Tensor:
        """Whether `plain_head` can be asked, bool scalar: of any question that the cells can be read for."""
        return question.size > 0 if self._has_cells_for(question) else super().has_plain_head(question)

    def plain_head(
        self, question: Question, out: tf.Tensor, length: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """As `ExactIndex.plain_head`, from the cells that are read at first."""
        if not self._has_cells_for(question):
            return super().plain_head(question, out, length)
        probes = tf.minimum(self.cells.probes, self.cells.num_cells)

        def one(question: Question, out: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            most = length + self.cells.num_rescored + _num_rows(out)
            rows, products = self.cells.scan(question.vectors, question.has_cosines, probes, most)
            values, chosen = self._rescored(question, rows, self._scored(question, rows, products), out, length)
            return values, chosen, tf.size(chosen) == length

        def row(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            values, chosen, is_right = one(question.row(place), out[place : place + 1])
            missing = [[0, length - tf.size(chosen)]]
            return tf.pad(values[0], missing), tf.pad(chosen[0], missing), is_right

        def several() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            places, numbers = tf.range(question.size), tf.TensorSpec([None], tf.float32)
            signature = numbers, tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.bool)
            values, rows, are_right = tf.map_fn(row, places, fn_output_signature=signature, parallel_iterations=2)
            return values, rows, tf.reduce_all(are_right)

        return tf.cond(question.size == 1, lambda: one(question, out), called(several))

    def arrays(self) -> dict[str, tf.Variable]:
        """Every variable by a name."""
        return super().arrays() | self.cells.arrays()

    def _has_cells_for(self, question: Question) -> bool:
        return self.cells.has_cosines or not question.has_cosines

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

        def read(probes: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            values, rows = search(probes)
            last = values[0, -1]
            is_short = (last == -float("inf")) | (last < least[0])  # nothing is less than NaN
            wider = tf.where(2 * probes * WIDEST > num_cells, 2 * num_cells, 2 * probes)
            is_last = probes >= num_cells if self.cells.are_complete else probes > num_cells
            return tf.where(is_short & ~is_last, wider, 0), values, rows

        shapes = tf.TensorShape([]), tf.TensorShape([None, None]), tf.TensorShape([None, None])
        state = first, tf.zeros([1, 0]), tf.zeros([1, 0], tf.int32)
        return tf.while_loop(lambda probes, *_: probes > 0, read, state, shape_invariants=shapes)[1:]

    def _probe(
        self, question: Question, admission: Admission, length: tf.Tensor, probes: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The best of some cells: the best by the cells' vectors, ordered by the index's own."""
        rows, products = self.cells.scan(question.vectors, question.has_cosines, probes)
        scores = self._scored(question, rows, products)
        codes = lambda: tf.gather(self.filters.codes.value(), tf.maximum(rows, 0))  # noqa: E731
        scores = admission.passing(self, scores, codes)
        values, chosen = self._rescored(question, rows, scores, admission.out, length)
        missing = [[0, 0], [0, length - tf.size(chosen)]]

        def padded() -> tuple[tf.Tensor, tf.Tensor]:
            own = tf.pad(values, missing, constant_values=-float("inf"))
            return own, tf.pad(chosen, missing, constant_values=-1)

        return tf.cond(tf.size(chosen) == length, lambda: (values, chosen), called(padded))

    def _scored(self, question: Question, rows: tf.Tensor, products: tf.Tensor) -> tf.Tensor:
        """Scores `[1, n]` by products with rows of the index `[n]`, −inf for rows of -1."""
        if question.has_cosines:
            products = question.scores(self, products, tf.gather(self.norms.value(), tf.maximum(rows, 0)))
        return tf.where(rows >= 0, products, -float("inf"))

    def _rescored(
        self, question: Question, rows: tf.Tensor, scores: tf.Tensor, out: tf.Tensor, length: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The best of the rows `[n]` by their scores `[1, n]`, without `out`, in the order of their exact scores.

        Returns:
            Exact scores and rows `[1, at most length]`; fewer where there are no more above −inf.
        """
        most = tf.minimum(length + self.cells.num_rescored + _num_rows(out), tf.size(rows))
        values, places = tf.math.top_k(scores[0], most, sorted=False)
        found = tf.where(values > -float("inf"), tf.gather(rows, places), -1)
        chosen = tf.raw_ops.ListDiff(x=found, y=tf.concat([out[0], [-1]], axis=0)).out
        exact = tf.matmul(question.vectors, tf.gather(self.vectors.value(), chosen), transpose_b=True)
        if question.has_cosines:
            exact = question.scores(self, exact, tf.gather(self.norms.value(), chosen))
        values, places = tf.math.top_k(exact, tf.minimum(length, tf.size(chosen)))
        return values, tf.gather(chosen, places)


def _num_rows(out: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(out >= 0, dtype=tf.int32)
