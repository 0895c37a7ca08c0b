import numpy as np
import pytest

from tfmmrec.data.oracle import Oracle, load_oracle
from tfmmrec.types import DataError, UsageError


@pytest.fixture
def oracle():
    """Two queries, three garments: one with the liked colour, one with the liked fabric, one popular."""
    return Oracle(
        query_vectors=np.array([[1.0, 2.0, 1.0], [0.0, -1.0, 1.0]], np.float32),
        candidate_vectors=np.diag([1.0, 1.0, 0.5]).astype(np.float32),
        terms=np.array(["colour", "fabric", "garment"]),
        parts={"look": ("colour",), "words": ("fabric",), "popularity": ("garment",)},
        attributes={"colour": np.array(["red", "blue", "blue"])},
        cold_candidates=np.array([False, True, False]),
    )


def test_scores_add_up_the_parts(oracle):
    np.testing.assert_allclose(oracle.scores(np.array([0, 1])), [[1, 2, 0.5], [0, -1, 0.5]])
    np.testing.assert_allclose(oracle.scores(np.array([1, 0]), parts=["words"]), [[0, -1, 0], [0, 2, 0]])
    np.testing.assert_allclose(oracle.scores([0], parts=["look", "popularity"]), [[1, 0, 0.5]])
    assert oracle.scores([0]).dtype == np.float32


def test_save_and_load(oracle, tmp_path):
    oracle.save(tmp_path / "oracle.npz")
    again = load_oracle(tmp_path)
    for name in ("query_vectors", "candidate_vectors", "terms", "cold_candidates"):
        np.testing.assert_array_equal(getattr(again, name), getattr(oracle, name))
    assert again.attributes["colour"].tolist() == ["red", "blue", "blue"]
    assert again.parts == oracle.parts


def test_a_folder_that_does_not_say_its_parts_is_of_fashion(oracle, tmp_path):
    oracle.save(tmp_path / "oracle.npz")
    with np.load(tmp_path / "oracle.npz") as arrays:
        np.savez(tmp_path / "oracle.npz", **{name: arrays[name] for name in arrays if not name.startswith("part_")})
    np.testing.assert_array_equal(load_oracle(tmp_path).scores([0], ["look"]), oracle.scores([0], ["look"]))


def test_refusals(oracle, tmp_path):
    with pytest.raises(UsageError, match=r"unknown parts \['smell'\]; pass some of look, words, popularity"):
        oracle.scores([0], parts=["smell"])
    with pytest.raises(DataError, match=r"oracle.npz: not found; only the folders of embedded catalogues"):
        load_oracle(tmp_path)
