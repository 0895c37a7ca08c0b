"""A catalogue of which most pictures are damaged is embedded, each of them counted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.data.damaged import WHOLE_FILES
from tests.data.test_usable_media import corrupted
from tests.encoders.reusable import write_image_halves
from tfmmrec.bulk_embedding import embed_catalogue
from tfmmrec.data.dataset import load_dataset

NUM_DAMAGED = 600
DESCRIPTION = """
interactions: {path: log.csv, query: query, candidate: candidate}
candidates: {path: items.csv, id: id, features: {photo: {kind: image}}}
"""


def write_catalogue(folder) -> None:
    random, whole = np.random.default_rng(1), WHOLE_FILES["image"]
    files = whole + [corrupted(whole[number % len(whole)], random, number) for number in range(NUM_DAMAGED)]
    for number, data in enumerate(files):
        (folder / f"{number}.jpg").write_bytes(data)
    ids = [f"c{number}" for number in range(len(files))]
    pd.DataFrame({"id": ids, "photo": [f"{n}.jpg" for n in range(len(files))]}).to_csv(
        folder / "items.csv", index=False
    )
    log = pd.DataFrame({"query": [f"q{n % 4}" for n in range(40)], "candidate": ids[:40]})
    log.to_csv(folder / "log.csv", index=False)
    (folder / "dataset.yaml").write_text(DESCRIPTION)


def test_every_damaged_picture_is_counted_and_none_ends_it(tmp_path):
    (tmp_path / "shop").mkdir()
    write_catalogue(tmp_path / "shop")
    dataset = load_dataset(tmp_path / "shop")
    encoder = write_image_halves(tmp_path / "encoder")
    found = embed_catalogue(dataset, encoder, "photo", tmp_path / "store")
    num_counted = sum(issue.count for issue in dataset.candidates.issues)
    assert 200 < found.num_absent == num_counted < NUM_DAMAGED
    assert found.num_candidates == len(WHOLE_FILES["image"]) + NUM_DAMAGED
    again = embed_catalogue(dataset, encoder, "photo", tmp_path / "store")
    assert again.num_new == 0 and again.num_absent == found.num_absent
    assert sum(issue.count for issue in dataset.candidates.issues) == num_counted  # each of them once
