from collections.abc import Mapping

import pytest

from tfmmrec.models.inherited_settings import inherits_settings
from tfmmrec.zoo import ZooEntry


def build(schema, statistics, make=None, *, dim: int = 3, names: Mapping[str, int] | None = None, fixed: bool = True):
    return dim, names, fixed


@inherits_settings(build, without=["fixed"])
def build_more(schema, statistics, *, rate: float = 0.5, dim: int = 7, **settings):
    return rate, build(schema, statistics, dim=dim, fixed=False, **settings)


def test_the_zoo_sees_its_own_settings_and_the_other_s():
    entry = ZooEntry(build_more, "retrieval", "p", "n", "w")
    assert entry.hyperparameters == {"rate": float, "dim": int, "names": Mapping[str, int] | None}
    assert build_more.settings_from is build


def test_what_is_given_arrives():
    assert build_more(None, None, rate=1.0, names={"a": 1}) == (1.0, (7, {"a": 1}, False))
    with pytest.raises(TypeError, match="unknown"):
        build_more(None, None, unknown=1)
