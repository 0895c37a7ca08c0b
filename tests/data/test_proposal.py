import numpy as np
import pandas as pd
import pytest

from tfmmrec.data import load_dataset, propose_schema
from tfmmrec.data.config import parse_schema, read_yaml_text
from tfmmrec.data.fashion import write_fashion
from tfmmrec.types import DataError


def proposed(folder):
    return parse_schema(read_yaml_text(propose_schema(folder), "proposal"), "proposal")


def shop(folder, **log):
    random = np.random.default_rng(0)
    words = random.choice(["red", "blue", "soft", "warm", "new", "fine"], (40, 5))
    products = {
        "product_id": [f"p{n}" for n in range(40)],
        "Product Name": [" ".join(row) for row in words],
        "price": random.normal(20, 5, 40),
        "tags": ["|".join(sorted(set(row[:2]))) for row in words],
        "photo": [f"img/{n}.jpg" for n in range(40)],
        "größe": random.normal(170, 9, 40),
        "shelf": ["A"] * 40,
    }
    pd.DataFrame(products).to_csv(folder / "products.csv", index=False)
    pd.DataFrame({"id": range(15), "region": ["n", "s", "e"] * 5}).to_csv(folder / "customers.csv", index=False)
    frame = pd.DataFrame(
        {
            "customer_id": random.integers(0, 15, 300),
            "product_id": [f"p{n}" for n in random.integers(0, 40, 300)],
        }
    ).assign(**log)
    return frame


def test_a_shop(tmp_path):
    shop(tmp_path, timestamp=np.arange(300), rating=4.5).to_csv(tmp_path / "orders.csv", index=False)
    (tmp_path / "notes.txt").write_text("hello")
    text = propose_schema(tmp_path)
    schema = proposed(tmp_path)
    log = schema.interactions
    assert (log.path, log.query, log.candidate, log.timestamp) == (
        "orders.csv",
        "customer_id",
        "product_id",
        "timestamp",
    )
    assert log.split.method == "time" and log.rating == "rating" and '# positive: "rating >= 4"' in text
    assert (schema.candidates.path, schema.candidates.id) == ("products.csv", "product_id")
    assert {name: feature.kind for name, feature in schema.candidates.features.items()} == {
        "Product_Name": "text",
        "price": "number",
        "tags": "category",
        "photo": "image",
        "gr_e": "number",
    }
    assert schema.candidates.features["gr_e"].column == "größe"
    assert schema.candidates.features["Product_Name"].column == "Product Name"
    assert schema.candidates.display == ("Product Name", "photo")
    assert "# left out: shelf (the same value everywhere)" in text
    assert (schema.queries.path, schema.queries.id) == ("customers.csv", "id")
    (tmp_path / "dataset.yaml").write_text(text)
    assert load_dataset(tmp_path).train.num_rows > 200


def test_ready_made_parts_are_taken_and_other_tables_named(tmp_path):
    frame = shop(tmp_path)
    frame.iloc[:200].to_parquet(tmp_path / "train.parquet")
    frame.iloc[200:].to_parquet(tmp_path / "test.parquet")
    frame.to_csv(tmp_path / "ratings_old.csv", index=False)
    log = proposed(tmp_path).interactions
    assert (log.train, log.test, log.path) == ("train.parquet", "test.parquet", None)
    assert "# not used: ratings_old.csv (customer_id, product_id)" in propose_schema(tmp_path)


def test_a_log_alone(tmp_path):
    shop(tmp_path).rename(columns={"customer_id": "userId", "product_id": "movieId"}).to_csv(
        tmp_path / "r.csv", index=False
    )
    (tmp_path / "products.csv").unlink()
    (tmp_path / "customers.csv").unlink()
    schema = proposed(tmp_path)
    assert (schema.interactions.query, schema.interactions.candidate) == ("userId", "movieId")
    assert schema.candidates.path is None and schema.queries.path is None
    assert "# candidates: no table with their ids" in propose_schema(tmp_path)


def test_a_time_is_known_by_its_type_whatever_it_is_called(tmp_path):
    bought = pd.to_datetime(np.arange(300), unit="h", origin="2026-01-01")
    shop(tmp_path, bought_at=bought).to_parquet(tmp_path / "orders.parquet", index=False)
    log = proposed(tmp_path).interactions
    assert (log.timestamp, log.split.method) == ("bought_at", "time")


DATES = [f"2026-01-{1 + n // 24:02d} {n % 24:02d}:00:00" for n in range(300)]
SECONDS = 1_700_000_000 + np.arange(300)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bought_at", DATES),
        ("created_on", [date[:10] for date in DATES]),
        ("boughtAt", SECONDS),
        ("Ordered On", SECONDS * 1000),
        ("seen_at", SECONDS + 0.5),
        ("when", SECONDS),
        ("last_updated", SECONDS),
        ("epoch", np.arange(300)),
        ("order_date", DATES),
        ("unixtime", SECONDS),
        ("eventTs", SECONDS),
    ],
)
def test_a_time_is_known_by_its_name_and_what_it_holds(name, values, tmp_path):
    shop(tmp_path, **{name: values}).to_csv(tmp_path / "orders.csv", index=False)
    log = proposed(tmp_path).interactions
    assert (log.timestamp, log.split.method) == (name, "time")
    assert (log.query, log.candidate) == ("customer_id", "product_id")
    (tmp_path / "dataset.yaml").write_text(propose_schema(tmp_path))
    assert load_dataset(tmp_path).train.num_rows > 200


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("format", SECONDS),
        ("what", SECONDS),
        ("salon", SECONDS),
        ("switched_on", np.arange(300) % 2),
        ("looked_at", ["front", "back", "side"] * 100),
        ("mandate", SECONDS),
    ],
)
def test_what_only_sounds_like_a_time_is_none(name, values, tmp_path):
    shop(tmp_path, **{name: values}).to_csv(tmp_path / "orders.csv", index=False)
    log = proposed(tmp_path).interactions
    assert (log.timestamp, log.split.method) == (None, "ratio")


def test_an_id_of_candidates_is_no_time(tmp_path):
    shop(tmp_path).rename(columns={"product_id": "candidate_id"}).to_csv(tmp_path / "orders.csv", index=False)
    products = pd.read_csv(tmp_path / "products.csv").rename(columns={"product_id": "candidate_id"})
    products.to_csv(tmp_path / "products.csv", index=False)
    log = proposed(tmp_path).interactions
    assert (log.query, log.candidate, log.timestamp) == ("customer_id", "candidate_id", None)


def test_cold_candidates_are_offered_and_what_is_offered_works(tmp_path):
    shop(tmp_path).to_csv(tmp_path / "orders.csv", index=False)
    text = propose_schema(tmp_path)
    offered = (
        "\n  # cold_candidates: 0.1   # hold a tenth of the candidates out of training, to measure how new ones fare\n"
    )
    assert text.count(offered) == 1
    (tmp_path / "dataset.yaml").write_text(text.replace("  # cold_candidates", "  cold_candidates"))
    dataset = load_dataset(tmp_path)
    assert dataset.cold_candidates.sum() == 4 == 0.1 * len(dataset.candidates)


def test_the_embedded_catalogue_is_found_as_it_is_described(tmp_path):
    folder = write_fashion(tmp_path / "fashion", num_candidates=200, num_queries=300, num_interactions=4500)
    described = load_dataset(folder).schema
    found = proposed(folder)
    assert found.interactions == described.interactions
    kinds = {name: feature.kind for name, feature in described.candidates.features.items()}
    assert {name: feature.kind for name, feature in found.candidates.features.items()} == kinds
    assert found.queries == described.queries


def test_folders_without_a_log_are_refused(tmp_path):
    with pytest.raises(DataError, match="no tables; expected CSV, Parquet, JSON Lines or TFRecord files"):
        propose_schema(tmp_path)
    pd.DataFrame({"name": ["a", "b"], "size": [1.5, 2.5]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match="no table looks like a log of interactions.*\n  t.csv: name, size"):
        propose_schema(tmp_path)
    with pytest.raises(DataError, match="nowhere: expected a dataset's folder, but it does not exist"):
        propose_schema(tmp_path / "nowhere")
