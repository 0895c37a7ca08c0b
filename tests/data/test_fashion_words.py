import itertools

import numpy as np
import pytest

from tfmmrec.data.fashion_words import FABRICS, OCCASIONS, SEASONS, describe_garment, name_garment
from tfmmrec.types import UsageError


def test_a_description_says_fabric_occasion_and_season_and_nothing_else_does():
    rng = np.random.default_rng(0)
    for fabric, occasion, season in itertools.product(FABRICS, OCCASIONS, SEASONS):
        _, text = describe_garment("dress", fabric, occasion, season, rng)
        said = [
            {value for value, wordings in known.items() if any(w in text.lower() for w in map(str.lower, wordings))}
            for known in (FABRICS, OCCASIONS, SEASONS)
        ]
        assert said == [{fabric}, {occasion}, {season}], text


def test_wordings_are_not_shared():
    wordings = [w for known in (FABRICS, OCCASIONS, SEASONS) for value in known.values() for w in value]
    assert len(set(wordings)) == len(wordings)


def test_wording_varies():
    rng = np.random.default_rng(0)
    texts = {describe_garment("coat", "wool", "office", "winter", rng) for _ in range(100)}
    assert len(texts) > 80


def test_titles():
    rng = np.random.default_rng(0)
    for _ in range(50):
        title, text = describe_garment("shoes", "silk", "beach", "spring", rng)
        assert title.endswith("shoes")
        assert sum(word in ("silk", "beach", "spring") for word in title.split()) <= 1
        assert text[0].isupper()
    assert name_garment("hat", rng, "wool").split()[1:] == ["wool", "hat"]
    assert len(name_garment("hat", rng).split()) == 2


def test_unknown_values_are_refused():
    with pytest.raises(UsageError, match="fabric 'foil' does not exist in the catalogue; pass one of linen, wool"):
        describe_garment("hat", "foil", "office", "winter", np.random.default_rng(0))
