"""The words of the catalogue `songs`: what a song is about and its mood, in varied wording.

No text says what is heard or seen: no tempo, no instrument, no motion.
"""

from __future__ import annotations

import numpy as np

from tfmmrec.types import UsageError

# Each value, and the wordings a text picks from.
THEMES = {
    "love": ("falling in love", "a first kiss", "two hearts", "letters to a sweetheart"),
    "travel": ("the open road", "a train through the night", "leaving home", "far countries"),
    "sea": ("the sea", "waves and salt", "a harbour at dawn", "sailors and lighthouses"),
    "city": ("city lights", "rooftops and neon", "the last bus downtown", "strangers in the crowd"),
    "winter": ("winter", "snow on the window", "frozen lakes", "the longest night"),
    "memory": ("old photographs", "childhood summers", "a house that is gone", "names we forgot"),
}
MOODS = {
    "tender": ("tender", "gentle as a whisper", "warm and close", "full of care"),
    "defiant": ("defiant", "with clenched fists", "proud and unbowed", "ready for a fight"),
    "wistful": ("wistful", "bitter-sweet", "full of longing", "half a smile, half a tear"),
    "joyful": ("joyful", "laughing out loud", "bright as morning", "bursting with happiness"),
}
_TEMPLATES = (
    "A song about {theme}, {mood}.",
    "{mood}: it tells of {theme}.",
    "She wrote it about {theme}. The words are {mood}.",
    "For everyone who knows {theme}; {mood} from the first line to the last.",
    "{theme}, and a voice that is {mood}.",
    "It begins with {theme} and stays {mood}.",
)
_NAMES = ("Marlena", "Northbound", "Paper Boats", "Halfway", "Elsewhere", "Tomorrow", "Evangeline", "Lanterns")
_MORE = ("Again", "Part Two", "in June", "for You", "No. 9", "After All", "at Last", "Reprise")


def describe_song(theme: str, mood: str, rng: np.random.Generator) -> tuple[str, str]:
    """Title, which says nothing of theme or mood, and description, which says both.

    Args:
        theme: one of `THEMES`.
        mood: one of `MOODS`.
        rng: picks the wording.

    Raises:
        UsageError: for a theme or a mood that does not exist.
    """
    values = (("theme", theme, THEMES), ("mood", mood, MOODS))
    for name, value, known in values:
        if value not in known:
            raise UsageError(f"{name} {value!r} does not exist in the catalogue; pass one of {', '.join(known)}")
    wording = {name: known[value][rng.integers(len(known[value]))] for name, value, known in values}
    text = _TEMPLATES[rng.integers(len(_TEMPLATES))].format(**wording)
    title = f"{_NAMES[rng.integers(len(_NAMES))]} {_MORE[rng.integers(len(_MORE))]}"
    return title, text[0].upper() + text[1:]
