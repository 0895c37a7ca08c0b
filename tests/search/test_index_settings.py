import sys

import pytest

from tfmmrec.search.index_settings import IndexSettings
from tfmmrec.types import UsageError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "tree"}, "can be auto, exact, ivf, scann, got 'tree'"),
        ({"dtype": "float16"}, "can be float32, bfloat16, int8, got 'float16'"),
        ({"cells": 0}, "at least 1 of its cells, got 0"),
        ({"probes": -1}, "at least 1 of its probes, got -1"),
        ({"recall": 0.0}, "above 0 and at most 1, got 0.0"),
        ({"kind": "scann", "dtype": "float32"}, "codes of its own, so they cannot be float32"),
        ({"kind": "exact", "probes": 3}, "an exact index has no probes; leave them out, or choose ivf"),
    ],
)
def test_what_cannot_be(settings, message):
    with pytest.raises(UsageError, match=message):
        IndexSettings(**settings)


def test_scann_is_refused_where_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "scann", None)
    monkeypatch.setitem(sys.modules, "scann.scann_ops.py.scann_ops", None)
    with pytest.raises(UsageError, match=r"pip install 'tfmmrec\[scann\]'"):
        IndexSettings("scann")
