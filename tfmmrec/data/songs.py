"""The embedded catalogue `songs`: short sounds with moving covers, listeners and what they played, generated.

    folder/
        dataset.yaml            what the tables mean
        items.csv               song_id, title, description, sound, cover, artist
        queries.csv             listener_id, age_group
        train.parquet           listener_id, song_id; the cold songs are absent from it
        test.parquet            the same columns: every choice of a cold song, a fifth of the others
        sounds/<song_id>.wav    3 s at 8 kHz, one channel, 16 bits
        covers/<song_id>.gif    48 x 48, 8 frames
        oracle.npz              the true taste, in the row order of the tables; no model reads it
        songs.json              what made the folder; written last, so that a folder with it is complete

What a listener likes depends on the sound (tempo, timbre, register), on the motion of the cover, on the words (theme
and mood: in the description) and on plain popularity (the artist's fame and the song's own appeal), in the shares of
`DESIGN`. Of the songs 15% are cold, 4% have no sound, 4% no cover, 5% no description.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tfmmrec.data.generated_catalogue import Design, Drawn, numbered, some_rows, write_catalogue
from tfmmrec.data.oracle import Oracle, load_oracle
from tfmmrec.data.songs_covers import MOTIONS, animate
from tfmmrec.data.songs_sounds import REGISTERS, TEMPOS, TIMBRES, synthesise, wav_bytes
from tfmmrec.data.songs_words import MOODS, THEMES, describe_song

__all__ = ["Oracle", "animate", "describe_song", "load_oracle", "synthesise", "wav_bytes", "write_songs"]

VERSION = 1
DESIGN = Design(
    name="songs",
    query_id="listener_id",
    candidate_id="song_id",
    attributes={
        "tempo": tuple(TEMPOS),
        "timbre": TIMBRES,
        "register": tuple(REGISTERS),
        "motion": MOTIONS,
        "theme": tuple(THEMES),
        "mood": tuple(MOODS),
    },
    makers=("Lumen", "The Tides", "Ada Quist", "Novembers", "Kestrel", "Rue Basse", "Mirador", "Old Harbour"),
    groups={"age_group": ("under 20", "20-29", "30-44", "45 and over")},
    shares={
        "sound": {"tempo": 0.15, "timbre": 0.20, "register": 0.05},
        "motion": {"motion": 0.20},
        "words": {"theme": 0.12, "mood": 0.06},
    },
    popularity={"artist": 0.12, "song": 0.10},
)
MISSING_SOUNDS = 0.04
MISSING_COVERS = 0.04
MISSING_DESCRIPTIONS = 0.05

_DATASET_YAML = """\
# The embedded catalogue `songs`. Songs that train.parquet does not have are the cold ones.
interactions: {train: train.parquet, test: test.parquet, query: listener_id, candidate: song_id}
candidates:
  path: items.csv
  id: song_id
  display: [title, cover]
  features:
    title: {kind: text}
    description: {kind: text}
    sound: {kind: audio}
    cover: {kind: video}
    artist: {kind: category}
queries:
  path: queries.csv
  id: listener_id
  history: {length: 50}
  features:
    age_group: {kind: category}
"""


def write_songs(
    folder: str | Path,
    seed: int = 0,
    num_candidates: int = 1200,
    num_queries: int = 2000,
    num_interactions: int = 40_000,
) -> Path:
    """Writes the catalogue as a complete dataset folder, whole or not at all.

    Does nothing where the folder already holds the catalogue made with the same arguments. The sounds take 48 kB each.

    Args:
        folder: where to; it must not exist, be empty, or hold this very catalogue.
        seed: the same seed gives the same files.
        num_candidates: songs, at least 100.
        num_queries: listeners.
        num_interactions: choices, 5 to `num_candidates // 8` a listener on average.

    Returns:
        The folder.

    Raises:
        UsageError: for numbers that do not fit together, or a folder that holds something else.
    """
    made_by = {
        "version": VERSION,
        "seed": seed,
        "num_candidates": num_candidates,
        "num_queries": num_queries,
        "num_interactions": num_interactions,
    }
    return write_catalogue(folder, DESIGN, made_by, _DATASET_YAML, _write_items)


def _write_items(folder: Path, drawn: Drawn, rng: np.random.Generator, missing: np.random.Generator) -> np.ndarray:
    """Writes items.csv, the sounds and the covers; returns the songs' ids, `[num_candidates]` str."""
    count = len(drawn.makers)
    shares = (MISSING_SOUNDS, MISSING_COVERS, MISSING_DESCRIPTIONS)
    no_sound, no_cover, no_description = (some_rows(count, share, missing) for share in shares)
    for name in ("sounds", "covers"):
        (folder / name).mkdir()
    rows = []
    for row, song in enumerate(numbered("m", count)):
        tempo, timbre, register, motion, theme, mood = (str(values[row]) for values in drawn.attributes.values())
        media = {"sounds/{}.wav": (no_sound, wav_bytes(synthesise(tempo, timbre, register, rng)))}
        media["covers/{}.gif"] = (no_cover, animate(motion, rng))
        title, description = describe_song(theme, mood, rng)
        paths = []
        for path, (lacking, content) in media.items():
            paths.append("" if lacking[row] else path.format(song))
            if paths[-1]:
                (folder / paths[-1]).write_bytes(content)
        rows.append((song, title, "" if no_description[row] else description, *paths, drawn.makers[row]))
    table = pd.DataFrame(rows, columns=["song_id", "title", "description", "sound", "cover", "artist"])
    table.to_csv(folder / "items.csv", index=False, lineterminator="\n")
    return table["song_id"].to_numpy()
