"""The errors a user can cause."""

from __future__ import annotations

import pytest

from tfmmrec.types import DataError, Embedded, UsageError


@pytest.mark.parametrize("error", [DataError, UsageError])
def test_errors_are_value_errors_with_their_message(error):
    raised = error("items.csv, row 3: price is 'cheap', expected a number")
    assert isinstance(raised, ValueError)
    assert str(raised) == "items.csv, row 3: price is 'cheap', expected a number"


def test_the_two_errors_are_told_apart():
    assert not issubclass(DataError, UsageError) and not issubclass(UsageError, DataError)


def test_embedded_names_what_fusions_read():
    names = {"vector", "present", "imputed", "sequence", "sequence_mask", "terms", "term_weights"}
    assert set(Embedded.__annotations__) == names
    assert Embedded.__required_keys__ == frozenset()
