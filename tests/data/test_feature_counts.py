import numpy as np
import pyarrow as pa
import pytest

from tfmmrec.data import inspection, statistics
from tfmmrec.data.entities import Entities
from tfmmrec.data.feature_counts import FeatureCounts, count_feature
from tfmmrec.schema import Feature
from tfmmrec.types import DataError

WORDS = "red green Blue Ärmel x1 coat shirt a b c".split()
RANDOM = np.random.default_rng(0)


def _text(row):
    return None if row % 13 == 0 else "?!" if row % 17 == 0 else " ".join(RANDOM.choice(WORDS, RANDOM.integers(1, 9)))


def _parts(row):
    return [None, " a", "", "b"][: row % 5] or None


COLUMNS = {
    "text": (Feature(kind="text"), pa.array(map(_text, range(200)), pa.large_string())),
    "category": (Feature(kind="category"), pa.array(RANDOM.choice([*WORDS, " red ", None], 200), pa.large_string())),
    "split": (
        Feature(kind="category", separator="|", max_values=2),
        pa.array(["a|b | a", "|", None, "c|a|b|d", "b"] * 40, pa.large_string()),
    ),
    "lists": (Feature(kind="category"), pa.array(map(_parts, range(200)), pa.large_list(pa.large_string()))),
    "identifier": (Feature(kind="identifier"), pa.array([str(row % 7) for row in range(200)], pa.large_string())),
    "number": (
        Feature(kind="number"),
        np.where(RANDOM.random(200) < 0.1, np.nan, RANDOM.normal(0, 9, 200)).astype(np.float32),
    ),
    "no number": (Feature(kind="number"), np.full(200, np.nan, np.float32)),
    "image": (Feature(kind="image"), pa.array(["a.png", None] * 100, pa.large_string())),
    "vector": (
        Feature(kind="vector"),
        np.where(np.arange(200)[:, None] % 3 == 0, np.nan, np.float32(1)).repeat(4, 1),
    ),
}


def counted(feature, column, num_partitions=4, **limits):
    """As a pipeline does it: by batches, which come in any order, then by partitions."""
    batches = [count_feature(feature, column[start : start + 30], start) for start in range(0, len(column), 30)]
    dealt = [dict(batch.dealt(num_partitions)) for batch in batches[::-1]]
    partitions = [
        FeatureCounts.merged(parts[number] for parts in dealt if number in parts) for number in set().union(*dealt)
    ]
    return FeatureCounts.merged(part.trimmed(**limits) for part in partitions)


@pytest.mark.parametrize("name", COLUMNS)
def test_statistics_are_those_of_the_whole_column(name):
    feature, column = COLUMNS[name]
    expected = statistics._feature_statistics(feature, column, 20_000, 2)
    assert counted(feature, column).statistics(feature) == expected


@pytest.mark.parametrize(("max_words", "min_count"), [(4, 2), (20_000, 68)])
def test_fewer_words_than_there_are(max_words, min_count):
    feature, column = COLUMNS["text"]
    expected = statistics._feature_statistics(feature, column, max_words, min_count)
    assert 0 < len(expected.vocabulary) < 10
    found = counted(feature, column, max_words=max_words, min_count=min_count)
    assert found.statistics(feature, max_words) == expected


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"image"}))  # whose files are read where rows are
def test_what_is_shown_is_that_of_the_whole_column(name):
    feature, column = COLUMNS[name]
    entities = Entities(pa.array(map(str, range(200))), {"own": column})
    assert counted(feature, column).inspected() == inspection._feature(entities, "own", feature)


def test_faults_are_summed():
    parts = [FeatureCounts("image", num_rows=2, num_null=1), FeatureCounts("image", num_rows=1)]
    parts[0].unusable["damaged picture"] += 1
    parts[1].unusable["damaged picture"] += 2
    found = FeatureCounts.merged(parts).inspected()
    assert (found.num_missing, found.unusable) == (1, {"damaged picture": 3})


def test_vectors_have_one_size():
    sizes = [FeatureCounts("vector", dims=frozenset(own)) for own in ({3}, {4})]
    with pytest.raises(DataError, match="found vectors of 3 and of 4 numbers; mend the table"):
        FeatureCounts.merged(sizes).statistics(Feature(kind="vector"))
    with pytest.raises(DataError, match="no vector in any row"):
        FeatureCounts("vector").inspected()
