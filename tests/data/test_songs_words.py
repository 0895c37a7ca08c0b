import re

import numpy as np
import pytest

from tfmmrec.data.songs_covers import MOTIONS
from tfmmrec.data.songs_sounds import REGISTERS, TEMPOS, TIMBRES
from tfmmrec.data.songs_words import MOODS, THEMES, describe_song
from tfmmrec.types import UsageError


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("mood", MOODS)
def test_a_description_says_theme_and_mood_and_a_title_neither(theme, mood):
    for seed in range(10):
        title, description = describe_song(theme, mood, np.random.default_rng(seed))
        said = description.lower()
        assert sum(wording.lower() in said for wording in THEMES[theme]) == 1
        assert sum(wording.lower() in said for wording in MOODS[mood]) == 1
        assert not any(
            wording.lower() in title.lower() for values in (THEMES, MOODS) for w in values.values() for wording in w
        )


def test_no_word_tells_what_is_heard_or_seen():
    heard = re.compile(rf"\b({'|'.join([*TEMPOS, *TIMBRES, *REGISTERS, *MOTIONS])})\b", re.IGNORECASE)
    random = np.random.default_rng(0)
    for theme in THEMES:
        for mood in MOODS:
            for _ in range(20):
                assert not heard.search(" ".join(describe_song(theme, mood, random)))


def test_what_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="theme 'war' does not exist in the catalogue; pass one of love, travel"):
        describe_song("war", "tender", np.random.default_rng(0))
    with pytest.raises(UsageError, match="mood 'bored' does not exist in the catalogue; pass one of tender, defiant"):
        describe_song("sea", "bored", np.random.default_rng(0))
