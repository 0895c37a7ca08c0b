import importlib.util

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
        ({"kind": "exact", "probes": 3}, "an exact index has no probes; leave them out, or choose ivf"),
    ],
)
def test_what_cannot_be(settings, message):
    with pytest.raises(UsageError, match=message):
        IndexSettings(**settings)


@pytest.mark.parametrize(("found", "message"), [(None, r"pip install 'scann==1.4.2'"), (object(), "choose ivf")])
def test_scann_is_refused(found, message, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    with pytest.raises(UsageError, match=message):
        IndexSettings("scann")
