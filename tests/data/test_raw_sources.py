import pytest

from tfmmrec.data.raw_sources import Source
from tfmmrec.types import DataError

SHOP = Source("Shop", "https://shop.example", "free for all")
CHOICES = (("a.csv", "b.csv"), ("a_*.json",))


def write(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("")
    return folder


def test_the_files_are_found_in_the_folder_or_one_below(tmp_path):
    assert SHOP.find(write(tmp_path / "one", "a.csv", "b.csv"), *CHOICES) == tmp_path / "one"
    inner = write(tmp_path / "two" / "inner", "a_x.json")
    assert SHOP.find(tmp_path / "two", *CHOICES) == inner


def test_what_is_missing_is_told_with_where_to_get_it(tmp_path):
    folder = write(tmp_path / "shop", "a.csv")
    with pytest.raises(DataError) as caught:
        SHOP.find(folder, *CHOICES)
    expected = "expected a.csv and b.csv or a_*.json, found a.csv. Shop comes from https://shop.example (free for all)"
    assert str(caught.value) == f"{folder}: {expected}"
    with pytest.raises(DataError, match="found nothing"):
        SHOP.find(write(tmp_path / "empty"), *CHOICES)


def test_two_of_them_are_one_too_many(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, "a_x.json")
    with pytest.raises(DataError, match="Shop is there more than once .*name one of these folders"):
        SHOP.find(tmp_path, *CHOICES)


def test_what_is_no_folder(tmp_path):
    with pytest.raises(DataError, match="expected the folder of Shop, but it does not exist. Shop comes from"):
        SHOP.find(tmp_path / "nowhere", *CHOICES)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="but it is a file"):
        SHOP.find(tmp_path / "file", *CHOICES)
