from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.yelp import convert_yelp
from tfmmrec.types import DataError

BUSINESSES = [
    {
        "business_id": "b0",
        "name": "St Honore Pastries",
        "city": "Philadelphia",
        "state": "PA",
        "stars": 4.0,
        "review_count": 80,
        "attributes": {
            "WiFi": "u'free'",
            "BusinessParking": "{'garage': False, 'street': True, 'lot': None}",
            "BikeParking": "True",
            "RestaurantsPriceRange2": "1",
            "Alcohol": "u'none'",
            "Caters": "False",
            "Broken": "{'x'",
            "Odd": "{[1]: 2}",
        },
        "categories": "Restaurants, Food, Bubble Tea",
    },
    {"business_id": "b1", "name": "Bar", "city": "Tampa", "state": "FL", "attributes": None, "categories": None},
    {"business_id": "b2", "name": "Hotel", "city": "", "state": "FL", "stars": 3.5, "categories": ["Hotels", "Travel"]},
    {"business_id": "b9", "name": "Unseen"},
]


def write(path, objects, *broken):
    path.write_text("".join(f"{line}\n" for line in [*map(json.dumps, objects), *broken]))


@pytest.fixture
def yelp(tmp_path):
    """Six people review each of three businesses, minute by minute."""
    folder = tmp_path / "yelp"
    folder.mkdir()
    reviews = [
        {
            "review_id": f"r{who}{what}",
            "user_id": f"u{who}",
            "business_id": f"b{what}",
            "stars": float(3 + what),
            "date": f"2018-07-07 22:{3 * who + what:02d}:11" if who else f"2018-07-0{1 + what}",
            "text": "Fine",
        }
        for who in range(6)
        for what in range(3)
    ]
    bad = {"user_id": "u0", "business_id": "b0", "stars": 1.0, "date": "yesterday"}
    write(folder / "yelp_academic_dataset_review.json", [*reviews, bad], "{")
    write(folder / "yelp_academic_dataset_business.json", BUSINESSES)
    people = [
        {
            "user_id": f"u{who}",
            "review_count": 10,
            "average_stars": 3.5,
            "fans": who,
            "yelping_since": f"201{who}-01-25 16:47:26",
        }
        for who in range(5)
    ]
    write(folder / "yelp_academic_dataset_user.json", people)
    return folder


@pytest.fixture
def photos(tmp_path):
    """photos.json and photos/, as they come in an archive of their own."""
    folder = tmp_path / "yelp_photos"
    (folder / "photos").mkdir(parents=True)
    listed = [
        ("p0", "b0", "menu"),
        ("p1", "b0", "inside"),
        ("p2", "b0", "food"),
        ("p3", "b1", "drink"),
        ("p4", "b1", "drink"),
    ]
    write(folder / "photos.json", [dict(photo_id=p, business_id=b, caption="", label=label) for p, b, label in listed])
    for name in ("p0", "p1", "p4"):
        Image.new("RGB", (4, 4)).save(folder / "photos" / f"{name}.jpg")
    return folder


def test_what_is_read(yelp, tmp_path):
    made = convert_yelp(yelp, tmp_path / "out", min_rating=4)
    assert (made.num_interactions, made.num_queries, made.num_candidates, made.num_pictures) == (18, 6, 3, 0)
    assert {(issue.kind, issue.where): issue.count for issue in made.issues} == {
        ("broken line, left out", "yelp_academic_dataset_review.json"): 2,
        ("nobody chose it, left out", "yelp_academic_dataset_business.json"): 1,
        ("nothing is known of it but its id", "users.parquet"): 1,
    }
    dataset = load_dataset(tmp_path / "out")
    shown = {name: column.to_pylist() for name, column in dataset.candidates.features.items()}
    assert dataset.candidates.ids.to_pylist() == ["b0", "b1", "b2"]
    assert shown["name"] == ["St Honore Pastries", "Bar", "Hotel"]
    assert shown["city"] == ["Philadelphia", "Tampa", None]
    assert shown["categories"] == [["Restaurants", "Food", "Bubble Tea"], None, ["Hotels", "Travel"]]
    attributes = ["WiFi free", "BusinessParking street", "BikeParking", "RestaurantsPriceRange2 1", "Broken {'x'"]
    attributes.append("Odd {[1]: 2}")  # Python, but no value of it
    assert shown["attributes"] == [attributes, None, None]
    fans = dict(zip(dataset.queries.ids.to_pylist(), dataset.queries.features["fans"].tolist(), strict=True))
    assert fans["u4"] == 4 and np.isnan(fans["u5"])
    assert dataset.queries.features["since"][0] == 2010
    # choices of b1 and b2 alone, 12 of them: the last one is the test's, 17 minutes after ten
    assert sum(part.num_rows for part in dataset.parts.values()) == 12
    assert dataset.test.columns["timestamp"].tolist() == [np.datetime64("2018-07-07T22:17:11").astype(int)]


def test_what_sums_up_the_reviews_is_no_feature(yelp, tmp_path):
    convert_yelp(yelp, tmp_path / "out")
    schema = load_dataset(tmp_path / "out").schema
    assert not {"stars", "review_count"} & set(schema.candidates.features)
    assert set(schema.queries.features) == {"fans", "since"}
    text = (tmp_path / "out" / "dataset.yaml").read_text()
    assert "# stars, review_count and average_stars are in the tables" in text
    (tmp_path / "out" / "dataset.yaml").write_text(
        text.replace("  features:\n", "  features:\n    stars: {kind: number}\n", 1)
    )
    assert load_dataset(tmp_path / "out").candidates.features["stars"].tolist()[::2] == [4.0, 3.5]


def test_photos_from_elsewhere(yelp, photos, tmp_path):
    made = convert_yelp(yelp, tmp_path / "out", images=photos / "photos")
    assert made.num_pictures == 2
    images = load_dataset(tmp_path / "out").candidates.features["image"].to_pylist()
    assert images == ["images/p1.jpg", "images/p4.jpg", None], "inside before menu; food's file is not there"


def test_photos_beside_the_tables(yelp, photos, tmp_path):
    photos.rename(yelp / "yelp_photos")
    assert convert_yelp(yelp, tmp_path / "out").num_pictures == 2


def test_photos_without_their_list(yelp, photos, tmp_path):
    (photos / "photos.json").unlink()
    with pytest.raises(DataError, match="expected photos.json in it or beside it, which tells whose the photos are"):
        convert_yelp(yelp, tmp_path / "out", images=photos / "photos")


def test_the_table_of_users_may_be_missing_but_not_the_others(yelp, tmp_path):
    (yelp / "yelp_academic_dataset_user.json").unlink()
    assert convert_yelp(yelp, tmp_path / "out", core=3, split="leave_one_out").num_queries == 6
    assert len(load_dataset(tmp_path / "out").queries) == 6
    (yelp / "yelp_academic_dataset_business.json").unlink()
    with pytest.raises(
        DataError, match=r"expected yelp_academic_dataset_business.json and .*yelp.com/dataset \(the dataset agr"
    ):
        convert_yelp(yelp, tmp_path / "again")
