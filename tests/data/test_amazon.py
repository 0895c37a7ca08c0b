from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from PIL import Image

from tfmmrec.data import raw_lines
from tfmmrec.data.amazon import convert_amazon
from tfmmrec.data.dataset import load_dataset
from tfmmrec.types import DataError, UsageError

NEW = "0000013714"


def write(path, objects, *broken):
    """One JSON object a line, packed where the name says so, and lines that are none."""
    text = "".join(f"{line}\n" for line in [*map(json.dumps, objects), *broken])
    path.write_bytes(gzip.compress(text.encode()) if path.name.endswith(".gz") else text.encode())


@pytest.fixture
def release_2023(tmp_path):
    """Ten people review two of three products each."""
    folder = tmp_path / "2023"
    folder.mkdir()
    products = [NEW, "B07JW9H4J1", "B000000003"]
    reviews = [
        {
            "rating": float(1 + (who + what) % 5),
            "title": "Fine",
            "text": "Fine.",
            "asin": "variant",
            "parent_asin": products[(who + what) % 3],
            "user_id": f"A{who:02d}",
            "timestamp": 1588687728923 + 1000 * (2 * who + what),
            "verified_purchase": True,
        }
        for who in range(10)
        for what in (0, 1)
    ]
    write(folder / "All_Beauty.jsonl.gz", reviews, '{"rating": 5.0, "parent_asin"', '{"rating": 5.0, "user_id": "A01"}')
    meta = [
        {
            "main_category": "All Beauty",
            "title": "Howard <b>LC0008</b> Leather &amp; Wax",
            "average_rating": 4.8,
            "features": ["Soft", "Clean"],
            "description": ["For <br> shoes."],
            "price": 12.99,
            "store": "Howard",
            "categories": ["Beauty", "Care", "Care"],
            "parent_asin": NEW,
        },
        {
            "main_category": "All Beauty",
            "title": None,
            "features": [],
            "description": [],
            "price": None,
            "store": None,
            "categories": [],
            "parent_asin": "B07JW9H4J1",
        },
        {"title": "Nobody's", "parent_asin": "B999"},
    ]
    write(folder / "meta_All_Beauty.jsonl.gz", meta)
    return folder


@pytest.fixture
def release_2018(tmp_path):
    folder = tmp_path / "2018"
    folder.mkdir()
    reviews = [
        {
            "overall": 5.0,
            "reviewerID": f"A{who}",
            "asin": asin,
            "unixReviewTime": 1252800000 + 86400 * (3 * who + place),
            "reviewText": "Fine",
        }
        for who in range(7)
        for place, asin in enumerate((NEW, "B1", "B2"))
    ]
    write(folder / "Fashion_5.json.gz", reviews)
    meta = [
        {
            "asin": NEW,
            "title": "Skirt",
            "category": ["Clothing", "Skirts"],
            "brand": "Acme",
            "feature": ["100% wool"],
            "description": ["A skirt."],
            "price": "$1,012.99 - $2,000.00",
        },
        {
            "asin": "B1",
            "title": "var aPageStart = (new Date()).getTime();",
            "price": ".a-box-inner{background-color:#fff} $3" * 3,
        },
        {"asin": NEW, "title": "Again"},
        {"asin": "B2", "main_cat": "Shoes", "title": ""},
    ]
    write(folder / "meta_Fashion.json.gz", meta)
    return folder


def features(dataset):
    """Id -> its features, None where missing."""
    found = {}
    for row, key in enumerate(dataset.candidates.ids.to_pylist()):
        values = {name: column[row] for name, column in dataset.candidates.features.items()}
        found[key] = {
            name: value.as_py() if hasattr(value, "as_py") else float(value) for name, value in values.items()
        }
    return found


def test_2023(release_2023, tmp_path):
    made = convert_amazon(release_2023, tmp_path / "out", min_rating=2)
    assert (made.num_interactions, made.num_queries, made.num_candidates) == (20, 10, 3)
    assert {(issue.kind, issue.where): issue.count for issue in made.issues} == {
        ("broken line, left out", "All_Beauty.jsonl.gz"): 2,
        ("nobody chose it, left out", "meta_All_Beauty.jsonl.gz"): 1,
        ("nothing is known of it but its id", "items.parquet"): 1,
    }
    dataset = load_dataset(tmp_path / "out")
    found = features(dataset)
    assert found[NEW] == {
        "title": "Howard LC0008 Leather & Wax",
        "description": "Soft Clean For shoes.",
        "brand": "Howard",
        "categories": ["Beauty", "Care"],
        "price": pytest.approx(12.99),
    }
    assert found["B07JW9H4J1"]["categories"] == ["All Beauty"] and found["B07JW9H4J1"]["title"] is None
    assert np.isnan(found["B000000003"]["price"])
    # four in five ratings are 2 or more; the last two of these 16 are the test's, its times in seconds
    assert dataset.test.columns["timestamp"].tolist() == pytest.approx([1588687728.923 + 17, 1588687728.923 + 18])


def test_2018(release_2018, tmp_path):
    made = convert_amazon(release_2018, tmp_path / "out", core=3)
    assert made.num_interactions == 21
    assert [(issue.kind, issue.count) for issue in made.issues] == [("stands there twice, the first one counts", 1)]
    dataset = load_dataset(tmp_path / "out")
    found = features(dataset)
    assert found[NEW] == {
        "title": "Skirt",
        "description": "100% wool A skirt.",
        "brand": "Acme",
        "categories": ["Clothing", "Skirts"],
        "price": pytest.approx(1012.99),
    }
    assert found["B1"]["title"] is None and np.isnan(found["B1"]["price"]), "pieces of a web page are nothing"
    assert found["B2"]["categories"] == ["Shoes"]
    times = dataset.train.columns["timestamp"]
    assert times.min() == 1252800000.0


def test_pictures(release_2018, tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / f"{NEW}.jpg")
    assert convert_amazon(release_2018, tmp_path / "out", images=tmp_path / "pictures").num_pictures == 1
    dataset = load_dataset(tmp_path / "out")
    assert features(dataset)[NEW]["image"] == f"images/{NEW}.jpg"
    assert not dataset.issues


def test_one_category_of_several(release_2023, tmp_path):
    for name in ("", "meta_"):
        (release_2023 / f"{name}Books.jsonl.gz").write_bytes((release_2023 / f"{name}All_Beauty.jsonl.gz").read_bytes())
    with pytest.raises(UsageError, match="has the reviews of All_Beauty, Books; choose one of them as category"):
        convert_amazon(release_2023, tmp_path / "out")
    with pytest.raises(UsageError, match="no reviews with metadata for category 'Toys'; there are All_Beauty, Books"):
        convert_amazon(release_2023, tmp_path / "out", category="Toys")
    assert convert_amazon(release_2023, tmp_path / "out", category="Books").num_interactions == 20


def test_folders_of_their_own_as_in_the_repository_of_2023(release_2023, tmp_path):
    for name, kind in (("All_Beauty.jsonl.gz", "review"), ("meta_All_Beauty.jsonl.gz", "meta")):
        place = tmp_path / "download" / "raw" / f"{kind}_categories"
        place.mkdir(parents=True)
        (release_2023 / name).rename(place / name)
    assert convert_amazon(tmp_path / "download", tmp_path / "out").num_interactions == 20


def test_missing_files(release_2023, tmp_path):
    (release_2023 / "All_Beauty.jsonl.gz").rename(tmp_path / "away")
    expected = (
        r"expected All_Beauty.jsonl.gz and meta_All_Beauty.jsonl.gz or .*, found meta_All_Beauty.jsonl.gz\. Amazon"
    )
    with pytest.raises(DataError, match=expected):
        convert_amazon(release_2023, tmp_path / "out")
    (release_2023 / "meta_All_Beauty.jsonl.gz").unlink()
    expected = (
        r"expected CATEGORY.jsonl.gz and .*found nothing\. Amazon Reviews comes from https://amazon.*no licence is"
    )
    with pytest.raises(DataError, match=expected):
        convert_amazon(release_2023, tmp_path / "out")
    with pytest.raises(DataError, match="expected the folder of Amazon Reviews, but it does not exist"):
        convert_amazon(tmp_path / "nowhere", tmp_path / "out")


def test_metadata_of_another_category(release_2023, tmp_path):
    write(release_2023 / "meta_All_Beauty.jsonl.gz", [{"parent_asin": "B999"}])
    with pytest.raises(DataError, match="none of its lines is about a product that has a review"):
        convert_amazon(release_2023, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reviews_of_an_unknown_form(release_2023, tmp_path):
    write(release_2023 / "All_Beauty.jsonl.gz", [{"who": 1}], "what")
    with pytest.raises(DataError, match="no interactions; expected lines like .*found 2 × broken line"):
        convert_amazon(release_2023, tmp_path / "out")


def test_lines_before_the_first_that_is_known_are_counted(release_2023, tmp_path, monkeypatch):
    path = release_2023 / "All_Beauty.jsonl.gz"
    known = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(b'{"who": 1}\n' * 3 + known))
    monkeypatch.setattr(raw_lines, "PIECE_BYTES", 12)
    made = convert_amazon(release_2023, tmp_path / "out")
    assert made.num_interactions == 20
    assert {issue.where: issue.count for issue in made.issues if "broken" in issue.kind} == {path.name: 3 + 2}
