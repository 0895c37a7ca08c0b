"""Candidates as a reader knows them."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.data.clips import animation
from tests.report.conftest import make_shop
from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.report.gallery import Gallery


@pytest.fixture
def gallery(shop):
    return Gallery(shop)


def test_titles_and_pictures(gallery):
    strip = gallery.strip([2, 3])
    assert strip.count("<li>") == 2 and strip.count('src="data:image/jpeg;base64,') == 2
    assert 'alt="photo of garment 2"' in strip
    assert "--shape: 0.667" in strip, "the frames are as tall as the pictures are"


def test_titles_are_escaped(gallery):
    strip = gallery.strip([0])
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co" in strip and "<b>" not in strip


def test_missing_and_broken_pictures_are_survived_and_the_broken_ones_counted(gallery):
    strip = gallery.strip([0, 1, 1])
    assert strip.count("no picture") == 3 and "<img" not in strip
    assert gallery.num_unreadable == 1


def test_hits_and_cold_ones_are_marked_in_words(gallery):
    plain, marked = gallery.strip([2, 3, 4]), gallery.strip([2, 3, 4], hits=[3], cold=[4])
    assert "✓ hit" not in plain and ">cold<" not in plain
    assert marked.index("garment 2") < marked.index("✓ hit") < marked.index("garment 4")
    assert marked.count("✓ hit") == 1 and marked.count(">cold<") == 1


def test_captions_stand_in_place_of_the_other_columns(gallery):
    strip = gallery.strip([2, 3], hits=[3], captions={2: ["<hat>", "taken for sock"], 3: ["sock"]}, mark="right")
    assert "&lt;hat&gt;</span>" in strip and strip.count('class="also"') == 3
    assert strip.count("✓ right") == 1 and "✓ hit" not in strip


def test_without_pictures_titles_stand_alone():
    strip = Gallery(make_shop(pictures=False)).strip([2], hits=[2])
    assert "garment 2" in strip and "✓ hit" in strip
    assert "<img" not in strip and "no picture" not in strip and 'class="strip bare"' in strip


def test_videos_move_where_there_are_no_pictures():
    songs = pd.DataFrame({"id": ["a", "b"], "title": ["one", "two"], "cover": [animation([10, 200]), None]})
    features = {"title": {"kind": "text"}, "cover": {"kind": "video"}}
    schema = {
        "interactions": {"train": "-", "test": "-", "query": "who", "candidate": "what"},
        "candidates": {"path": "-", "id": "id", "features": features},
    }
    log = pd.DataFrame({"who": ["x", "y"], "what": ["a", "b"]})
    shop = dataset_from_frames(schema, {"train": log, "test": log}, songs)
    gallery = Gallery(shop)
    strip = gallery.strip([0, 1])
    assert gallery.picture == "cover" and strip.count('src="data:image/webp;base64,') == 1
    assert strip.count("no picture") == 1 and gallery.num_unreadable == 0


def test_without_display_the_features_are_shown(shop):
    candidates = shop.schema.candidates.model_copy(update={"display": ()})
    plain = make_shop()
    plain.schema = shop.schema.model_copy(update={"candidates": candidates})
    gallery = Gallery(plain)
    assert gallery.picture == "photo" and gallery.title(2) == "garment 2"


def test_without_a_title_the_id_is_shown(shop):
    candidates = shop.schema.candidates.model_copy(update={"display": (), "features": {}})
    plain = make_shop()
    plain.schema = shop.schema.model_copy(update={"candidates": candidates})
    assert Gallery(plain).title(2) == "c02"
