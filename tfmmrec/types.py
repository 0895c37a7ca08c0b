"""Names shared by every floor: the errors a user can cause, and the shape of an embedded modality."""

from __future__ import annotations

from typing import Any, TypedDict


class DataError(ValueError):
    """Data that cannot be used as it is; the message names the file, row or column and how to mend it."""


class UsageError(ValueError):
    """Arguments that are wrong or contradict each other; the message says what to pass instead."""


class Embedded(TypedDict, total=False):
    """What an encoder makes of one modality of a batch.

    Keys:
        vector: `[batch, dim]` float.
        present: `[batch]` bool, False where the raw value was missing or unreadable.
        sequence: `[batch, n, dim]` float, where the encoder has tokens, patches or frames.
        sequence_mask: `[batch, n]` bool, True where the sequence holds something.
        imputed: `[batch]` bool, True where the vector was predicted from the other modalities.
        terms: `[batch, n]` int32, the columns that are not zero in the modality's sparse form, before any embedding:
            ids, words, values of a category, edges of a number's bins; any where the weight is 0.
        term_weights: `[batch, n]` float32, what stands in them.
    """

    vector: Any
    present: Any
    sequence: Any
    sequence_mask: Any
    imputed: Any
    terms: Any
    term_weights: Any
