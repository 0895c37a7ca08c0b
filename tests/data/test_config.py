import re

import pytest

from tfmmrec.data.config import parse_schema, read_schema
from tfmmrec.types import DataError

GOOD = """
interactions: {train: train.csv, query: u, candidate: i}
candidates: {path: i.csv, id: i, features: {title: {kind: text}}}
"""


def refused(folder, text, message, name="dataset.yaml"):
    (folder / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_schema(folder)
    assert message in str(caught.value)
    assert str(folder / name) in str(caught.value)
    return str(caught.value)


def test_reads_the_folders_own_yaml(tmp_path):
    (tmp_path / "dataset.yaml").write_text(GOOD)
    assert read_schema(tmp_path).candidates.features["title"].kind == "text"


def test_reads_another_yaml_inside_or_outside_of_the_folder(tmp_path):
    data, other = tmp_path / "data", tmp_path / "other.yaml"
    data.mkdir()
    other.write_text(GOOD)
    (data / "inner.yaml").write_text(GOOD.replace("id: i,", "id: key,"))
    assert read_schema(data, other).candidates.id == "i"
    assert read_schema(data, "inner.yaml").candidates.id == "key"


def test_a_folder_without_yaml_is_told_how_to_get_one(tmp_path):
    with pytest.raises(DataError, match="`tfmmrec inspect .* --write .*dataset.yaml` proposes a first one"):
        read_schema(tmp_path)
    with pytest.raises(DataError, match="no/where: expected a dataset's folder, but it does not exist"):
        read_schema("no/where")
    with pytest.raises(DataError, match="mine.yaml: no such config file"):
        read_schema(tmp_path, "mine.yaml")


def test_unknown_keys_name_the_nearest(tmp_path):
    refused(tmp_path, GOOD + "querys: {}\n", "unknown key `querys` in the file; did you mean `queries`?")
    text = GOOD.replace("kind: text", "kind: text, seperator: x")
    refused(tmp_path, text, "unknown key `seperator` in `candidates.features.title`; did you mean `separator`?")
    text = GOOD.replace("query: u", "query: u, zzz: 1")
    refused(tmp_path, text, "unknown key `zzz` in `interactions`; known are `path`, `train`, `valid`")


def test_wrong_values_name_key_expected_and_found(tmp_path):
    text = GOOD.replace("kind: text", "kind: txt")
    refused(
        tmp_path,
        text,
        "`candidates.features.title.kind`: expected 'identifier', 'category', 'number', 'text'",
    )
    refused(tmp_path, text, "found 'txt'; did you mean 'text'?")
    refused(tmp_path, GOOD + "queries: {history: {length: long}}", "`queries.history.length`: expected integer")
    refused(tmp_path, GOOD.replace("query: u, ", ""), "`interactions.query` is missing; add it")
    refused(
        tmp_path,
        GOOD.replace("query: u", "query: u, positive: good"),
        "`interactions.positive`: expected COLUMN",
    )


def test_all_mistakes_are_told_at_once(tmp_path):
    message = refused(tmp_path, GOOD.replace("kind: text", "kind: txt") + "querys: {}\n", "2 mistakes:")
    assert re.search(r"\n  unknown key `querys`", message) and "\n  `candidates.features.title.kind`" in message


def test_python_tags_are_refused_and_do_nothing(tmp_path):
    target = tmp_path / "made"
    text = GOOD + f"queries: !!python/object/apply:os.mkdir ['{target}']\n"
    refused(tmp_path, text, "line 4: could not determine a constructor for the tag")
    assert not target.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the keys `interactions`, `candidates`, `queries`, found nothing"),
        ("- 1\n", "expected the keys `interactions`, `candidates`, `queries`, found a list"),
        ("interactions: {train: [}\n", "line 1, column 24: not valid yaml"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path, text, message):
    refused(tmp_path, text, message)


def test_not_utf8(tmp_path):
    (tmp_path / "dataset.yaml").write_bytes(b"interactions: \xff\n")
    with pytest.raises(DataError, match="dataset.yaml: not UTF-8 at byte 14; save it as UTF-8"):
        read_schema(tmp_path)


def test_content_from_elsewhere_is_named_as_told():
    with pytest.raises(DataError, match="^mine: `interactions` is missing; add it$"):
        parse_schema({}, "mine")
