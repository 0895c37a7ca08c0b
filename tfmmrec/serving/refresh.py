"""Other candidates for an exported model: same weights, no training, and neither its data nor its Python classes.

What the export remembers of its candidates (`contents`) tells which of those that are given have changed; only these
and new ones are encoded, by the model's own `embed_candidate`. A candidate whose content is as it was keeps its vector,
but gets the categories and the display columns that it now comes with.

Feature statistics, vocabularies and the histories of known queries stay as they are: a new candidate is known by its
content alone, and what is removed drops out of the histories that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfmmrec.data.entities import Entities
from tfmmrec.data.issues import Issues
from tfmmrec.search.scann_cells import LEAST_CANDIDATES
from tfmmrec.search.scann_ops import save_options
from tfmmrec.serving.assets import display_table
from tfmmrec.serving.contents import Contents, contents_of, filter_entities, read_contents
from tfmmrec.serving.exported_model import ExportedModel, load_exported
from tfmmrec.serving.index import filter_codes
from tfmmrec.serving.indexed_tables import TABLES, indexed_popularity, indexed_tables
from tfmmrec.serving.merging import Merge, merge, merged_contents
from tfmmrec.serving.new_candidates import no_candidates, read_new_candidates, read_removed
from tfmmrec.serving.paths import is_remote
from tfmmrec.serving.raw_encoding import Encoded, encode_candidates
from tfmmrec.serving.refreshed_assets import Refreshed, write_refreshed_assets
from tfmmrec.types import DataError, UsageError

Progress = Callable[[str, int, int], None]


def refresh_index(
    folder: str | Path | ExportedModel,
    to: str | Path,
    candidates: str | Path | None = None,
    removed: str | Path | Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Refreshed:
    """Writes an exported model with other candidates into a folder.

    Args:
        folder: the export, with `saved_model.pb`, or loaded; the folder stays as it is, what is loaded does not.
        to: where to; need not exist.
        candidates: a table of new or changed candidates, see `read_new_candidates`.
        removed: ids of candidates that shall be there no longer, or their file, see `read_removed`.
        progress: called with ("encoding", candidates done, candidates in all).

    Raises:
        UsageError: neither candidates nor removed ones, a model without an index, a folder that is not of this machine,
            or nothing would be left, or too little for ScaNN.
        DataError: not an export that remembers its candidates; a table that does not fit it; an id that is to be added
            and removed at once; candidates none of which can be encoded, where none is removed.
    """
    if candidates is None and removed is None:
        raise UsageError("nothing is asked of the index; give new candidates, or some to remove")
    model = folder if isinstance(folder, ExportedModel) else load_exported(folder)
    if is_remote(model.path):
        raise UsageError(f"{model.path}: only an export on this machine can be refreshed; copy it here first")
    if "embed_candidate" not in model.signatures:
        raise UsageError(f"{model.path}: {model.about['model']} has no index of candidates that could be refreshed")
    before = read_contents(model.path)
    from_file = isinstance(removed, str | Path)
    gone = read_removed(removed, model.schema, set(before.ids)) if from_file else list(removed or ())
    new = _read(model, before, candidates)
    both = sorted(set(gone) & set(new.contents.ids))
    if both:
        raise DataError(f"{candidates}: {both[0]!r} is to be removed, too; leave it out of one of the two files")
    encoded = encode_candidates(model, new.entities, new.differing, before.looked_at, progress)
    new = new.without(encoded.unusable)
    if encoded.unusable and not len(new.rows) and not set(gone) & set(before.ids):
        row, wrong = next(iter(encoded.unusable.items()))
        raise DataError(
            f"{candidates}: none of its {len(encoded.unusable)} candidates can be encoded, and none is removed, so the "
            f"index would stay as it is; row {row + 1}: {wrong}"
        )
    merged = merge(before.ids, gone, new.contents.ids)
    if not len(merged):
        raise UsageError("every candidate is to be removed, and an index needs at least one; keep some")
    if len(merged) < LEAST_CANDIDATES and model.about.get("index", {}).get("kind") == "scann":
        raise UsageError(
            f"an index of kind scann needs at least {LEAST_CANDIDATES} candidates, but {len(merged)} would be left; "
            "keep more, or export the run anew with --index exact"
        )
    after = merged_contents(merged, before, new.contents)
    _give_index(model, merged, before, after, encoded, new.rows)
    signatures = {name: getattr(model.module, name) for name in model.module.signatures}
    options = save_options(model.about.get("index", {}))
    tf.saved_model.save(model.module, str(to), signatures=signatures, options=options)
    done = _counted(merged, before, new, gone, encoded)
    write_refreshed_assets(model, Path(to), merged, after, new.display, gone, done)
    return done


@dataclass
class _New:
    """The table of new candidates.

    Attributes:
        entities: the whole table.
        contents, display: of `rows` of it.
        rows: int `[any]`.
        differing: int `[any]`, the rows whose content the model does not have.
        notes: what people should know of it.
    """

    entities: Entities
    contents: Contents
    display: pa.Table
    rows: np.ndarray
    differing: np.ndarray
    notes: list[str]

    def without(self, unusable: Collection[int]) -> _New:
        """The same as if some of the rows had not been given."""
        kept = np.array([place for place, row in enumerate(self.rows) if int(row) not in unusable], np.int64)
        own = self.contents.taken(kept), self.display.take(pa.array(kept))
        return _New(self.entities, *own, self.rows[kept], self.differing, self.notes)


def _read(model: ExportedModel, before: Contents, candidates: str | Path | None) -> _New:
    nothing = np.zeros(0, np.int64)
    if candidates is None:
        return _New(no_candidates(), before.taken(nothing), model.candidates.slice(0, 0), nothing, nothing, [])
    found = read_new_candidates(candidates, model.schema, model.signatures["embed_candidate"]["inputs"])
    contents = contents_of(found.entities, model.schema.candidates.features, before.looked_at)
    digest_of = dict(zip(before.ids, before.digests, strict=True))
    pairs = zip(contents.ids, contents.digests, strict=True)
    differing = np.flatnonzero([digest_of.get(id) != digest for id, digest in pairs])
    notes = [f"columns that the model's schema does not name: {', '.join(found.ignored)}"] if found.ignored else []
    rows = np.arange(len(contents.ids))
    return _New(found.entities, contents, display_table(found.entities), rows, differing, notes)


def _give_index(model: ExportedModel, merged: Merge, before: Contents, after: Contents, encoded: Encoded, rows) -> None:
    """Replaces what the index of a loaded export holds; `rows` are the new candidates' in their table."""
    place_of = dict(zip(encoded.rows.tolist(), range(len(encoded.rows)), strict=True))
    places = np.array([place_of.get(int(row), -1) for row in rows] + [-1])
    sources = places[merged.new_rows]  # [len(merged)], rows of what was encoded, -1 for what is kept
    index = model.module.index
    tables = {
        name: merged.filled(old, encoded.tables.get(name, old[:0]), sources)
        for name, old in indexed_tables(index, before.ids).items()
    }
    arrays = [tables[name] for name in TABLES if name in tables]
    if "vectors" in tables:  # a ranking model alone has its parts only
        codes, values = filter_codes(filter_entities(after), model.schema.candidates.features)
        known = np.append(indexed_popularity(index, before.ids), np.float32(0.0))  # the last: of new ones
        arrays[1:1] = [known[merged.old_rows], codes, tf.constant(values, tf.string, [len(values)])]
    index.replace(tf.constant(after.ids, tf.string), *map(tf.constant, arrays))


def _counted(merged: Merge, before: Contents, new: _New, gone: Sequence[str], encoded: Encoded) -> Refreshed:
    has_new_vector = np.isin(new.rows, encoded.rows)
    is_old = np.isin(new.contents.ids, before.ids) if new.contents.ids else has_new_vector
    issues = Issues()
    for row, wrong in encoded.unusable.items():
        issues.add("candidate that cannot be encoded, left out", new.entities.source, 1, f"row {row + 1}: {wrong}")
    unknown = sorted(set(gone) - set(before.ids))
    notes = [f"to be removed, but not in the index: {', '.join(unknown[:10])}" + ", ..." * (len(unknown) > 10)]
    return Refreshed(
        num_candidates=len(merged),
        added=int((~is_old).sum()),
        changed=int((is_old & has_new_vector).sum()),
        unchanged=int((is_old & ~has_new_vector).sum()),
        removed=len(set(gone) & set(before.ids)),
        encoded=len(new.differing),
        issues=[*new.entities.issues, *issues.all],
        notes=[*new.notes, *(notes if unknown else [])],
    )
