"""How popular what is recommended is, against the catalogue and against what was chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmmrec.data.dataset import Dataset, Interactions
from tfmmrec.report.figures import ACCENT, INK, MUTED, SECOND, plot
from tfmmrec.report.markup import Markup, element

NUM_GROUPS = 10


@dataclass(frozen=True)
class PopularityShares:
    """Shares by popularity: candidates nobody chose in training, then tenths from least to most chosen.

    Attributes:
        catalogue: `[1 + NUM_GROUPS]`, of the candidates; adds up to 1.
        recommended: `[1 + NUM_GROUPS]`, of the places in the recommendations.
        positives: `[1 + NUM_GROUPS]`, of what should have been found.
    """

    catalogue: np.ndarray
    recommended: np.ndarray
    positives: np.ndarray


def popularity_shares(dataset: Dataset, recommendations: pa.Table, split: str, k: int) -> PopularityShares:
    """Counts by popularity in training.

    Args:
        dataset: its train says how popular a candidate is.
        recommendations: of an evaluation; the first `k` of the slice all count.
        split: whose positives, those in train left out.
        k: places of each query.
    """
    groups = popularity_groups(dataset.train.counts())
    first = pc.and_(pc.equal(recommendations["slice"], "all"), pc.less_equal(recommendations["rank"], k))
    rows = dataset.candidates.row_of(recommendations.filter(first)["candidate_id"].combine_chunks())
    return PopularityShares(
        _shares(groups),
        _shares(groups[rows[rows >= 0]]),
        _shares(groups[unseen_positives(dataset.train, dataset.parts[split])]),
    )


def popularity_groups(counts: np.ndarray) -> np.ndarray:
    """0 for a count of 0, else 1 (least chosen) to `NUM_GROUPS` (most chosen), equally many in each.

    Args:
        counts: `[num_candidates]`; of equal ones the earlier comes first.
    """
    groups = np.zeros(counts.size, np.int64)
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    groups[order] = 1 + np.arange(order.size) * NUM_GROUPS // max(order.size, 1)
    return groups


def unseen_positives(train: Interactions, part: Interactions) -> np.ndarray:
    """The candidate of each different pair of `part` that train does not have, int `[num_positives]`."""
    found = []
    for queries, _ in part.blocks():
        keys = np.setdiff1d(_pairs(part, queries), _pairs(train, queries))
        found.append(keys % part.num_candidates)
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _pairs(interactions: Interactions, queries: slice) -> np.ndarray:
    """query * num_candidates + candidate of each row of some queries, int64."""
    bounds = interactions.indptr[queries.start : queries.stop + 1]
    owners = np.repeat(np.arange(queries.start, queries.stop, dtype=np.int64), np.diff(bounds))
    return owners * interactions.num_candidates + interactions.indices[bounds[0] : bounds[-1]]


def popularity_plot(shares: PopularityShares, k: int) -> Markup:
    """Bars by popularity: what is recommended beside what should be found, the catalogue as a line."""
    places = np.arange(1 + NUM_GROUPS)
    shown = slice(0 if shares.catalogue[0] > 0 else 1, None)

    def draw(axes) -> None:
        ours, theirs = 100 * shares.recommended[shown], 100 * shares.positives[shown]
        axes.bar(places[shown] - 0.2, ours, 0.4, color=ACCENT, label=f"recommended (first {k})")
        axes.bar(places[shown] + 0.2, theirs, 0.4, color=SECOND, label="to be found")
        axes.hlines(
            100 * shares.catalogue[shown], places[shown] - 0.44, places[shown] + 0.44, color=INK, label="catalogue"
        )
        names = ["never", *(str(tenth) for tenth in range(1, 1 + NUM_GROUPS))]
        axes.set_xticks(places[shown], names[shown])
        axes.set_xlabel("tenths of those chosen in training, from least to most")
        axes.tick_params(axis="x", length=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0, labelcolor=MUTED)
        axes.legend(frameon=False, labelcolor=INK, handlelength=1.0, loc="best")

    return plot(draw, "By popularity in training", f"Bars by popularity. {popularity_words(shares)}")


def popularity_table(shares: PopularityShares, k: int) -> Markup:
    """The same numbers, some tenths taken together."""
    groups = {
        "Never chosen": [0],
        "Less chosen half": range(1, 6),
        "Tenths 6 to 9": range(6, 10),
        "Most chosen tenth": [10],
    }
    rows = [
        element("tr", element("th", label, scope="row"), *(element("td", f"{value:.1%}") for value in values))
        for label, places in groups.items()
        if (
            values := [
                column[list(places)].sum() for column in (shares.catalogue, shares.recommended, shares.positives)
            ]
        )
        and values[0] > 0
    ]
    columns = ("Catalogue", f"First {k}", "To be found")
    head = element("tr", element("td"), *(element("th", name, scope="col") for name in columns))
    return element("div", element("table", element("thead", head), element("tbody", *rows)), class_="scroll flush")


def popularity_words(shares: PopularityShares) -> str:
    """A sentence or two on what the plot says."""
    most, wanted = shares.recommended[-1], shares.positives[-1]
    text = (
        f"The most chosen tenth of the candidates in training is {most:.0%} of what is recommended and {wanted:.0%} of "
        "what should be found."
    )
    if shares.catalogue[0] > 0:
        text += (
            f" Candidates without a choice in training are {shares.catalogue[0]:.0%} of the catalogue, "
            f"{shares.recommended[0]:.0%} of what is recommended and {shares.positives[0]:.0%} of what should be found."
        )
    return text


def _shares(groups: np.ndarray) -> np.ndarray:
    counts = np.bincount(groups, minlength=1 + NUM_GROUPS)
    return counts / max(counts.sum(), 1)
