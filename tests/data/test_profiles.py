import numpy as np
import pandas as pd
import pytest

from tests.data.clips import animation
from tfmmrec.data.profiles import feature_of, profile_tables, values_within


@pytest.fixture
def profile(tmp_path):
    def profile(values, name="t.parquet"):
        pd.DataFrame({"x": values}).to_parquet(tmp_path / name)
        return profile_tables(tmp_path)[0].columns["x"]

    return profile


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([f"pictures/{n}.jpg" for n in range(50)] + [None], {"kind": "image"}),
        ([b"\x89PNG", b"\xff\xd8"], {"kind": "image"}),
        ([f"clips/{n}.wav" for n in range(50)] + [None], {"kind": "audio"}),
        ([f"{n}.MP3" for n in range(50)], {"kind": "audio"}),
        ([b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", None], {"kind": "audio"}),
        ([f"clips/{n}.mjpg" for n in range(50)] + ["one.MP4"], {"kind": "video"}),
        ([animation([1, 200]), animation([1]), animation([7, 99])], {"kind": "video"}),
        ([animation([1]), b"GIF89a"], {"kind": "image"}),
        ([f"{n}.gif" for n in range(50)], {"kind": "image"}),  # none of them is there to be looked at
        ([np.ones(3), np.zeros(3)], {"kind": "vector"}),
        ([["a", "b"], ["a"]], {"kind": "category"}),
        ([1.5, 2.5, None], {"kind": "number"}),
        (list(range(100)), {"kind": "number"}),
        ([str(n / 7) for n in range(100)], {"kind": "number"}),
        ([18, 25, 35] * 20, {"kind": "category"}),
        (["Drama|Comedy", "Drama", "Comedy|Action"] * 20, {"kind": "category", "separator": "|"}),
        ([f"The story of number {n}, who went out" for n in range(60)], {"kind": "text"}),
        (["red", "green"] * 30, {"kind": "category"}),
        (["007", "008"] * 30, {"kind": "category"}),
        ([f"https://x.org/{n}.jpg" for n in range(60)], "a different value in nearly every row"),
        (["same"] * 5, "the same value everywhere"),
        ([None, None], "empty"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), "a time"),
    ],
)
def test_kinds(profile, values, expected):
    assert feature_of(profile(values)) == expected


@pytest.mark.parametrize(("greys", "kind"), [([1, 200], "video"), ([1], "image")])
def test_gifs_that_move_are_videos(profile, tmp_path, greys, kind):
    (tmp_path / "1.gif").write_bytes(animation(greys))
    assert feature_of(profile([f"{n}.gif" for n in range(9)])) == {"kind": kind}


def test_keys(tmp_path):
    frame = pd.DataFrame({"name": ["a", "b", "c"], "thing_id": [3, 1, 2], "tag": ["x", "x", "y"]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.assign(thing_id=[1, 1, 2])[["tag", "thing_id"]].to_csv(tmp_path / "b.csv", index=False)
    one, other = profile_tables(tmp_path)
    assert (one.key(), one.num_rows) == ("thing_id", 3)
    assert other.key() is None
    assert values_within(other.columns["thing_id"], one.columns["thing_id"]) == 1.0
