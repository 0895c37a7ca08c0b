import pytest

from tests.conformance.models import catalogue, statistics
from tfmmrec.models.label_choice import category_task, tags_task
from tfmmrec.types import UsageError


def schema(without=(), **changed):
    """The catalogue's, without some features of candidates, or with changed ones."""
    whole = catalogue().schema
    features = {name: found for name, found in whole.candidates.features.items() if name not in without}
    features |= {name: features[name].model_copy(update=values) for name, values in changed.items()}
    return whole.model_copy(update={"candidates": whole.candidates.model_copy(update={"features": features})})


def choose(task, feature=None, max_labels=1000, **changed):
    return task(schema(**changed), statistics(), feature, max_labels)


def test_tags_are_the_first_category_with_several_values_from_texts_pictures_and_vectors():
    task = choose(tags_task)
    assert (task.name, task.feature, task.several) == ("tags", "genre", True)
    assert task.sources == ("title", "photo", "look") and task.num_labels == 3  # rock, folk, jazz
    assert choose(tags_task, "tags").feature == "tags"  # lists
    assert choose(tags_task, without=["genre", "title"]).sources == ("photo", "look")


def test_a_category_has_one_value_and_is_predicted_from_pictures_and_vectors():
    assert choose(category_task) is None  # the catalogue has none
    task = choose(category_task, genre={"separator": None})
    assert (task.name, task.feature, task.several, task.sources) == ("category", "genre", False, ("photo", "look"))
    assert choose(category_task, "artist").num_labels == 5  # an identifier, where it is named


def test_only_the_most_frequent_labels():
    assert choose(tags_task, max_labels=2).num_labels == 2
    with pytest.raises(UsageError, match="max_labels must be at least 1, got 0"):
        choose(tags_task, max_labels=0)


def test_without_anything_to_predict_or_to_predict_it_from_there_is_no_task():
    assert choose(tags_task, without=["genre", "tags"]) is None
    assert choose(tags_task, without=["title", "photo", "look"]) is None


@pytest.mark.parametrize(
    ("task", "feature", "without", "message"),
    [
        (tags_task, "artist", (), r"tags must name .* several values .*, got 'artist'; suitable: genre, tags"),
        (tags_task, "mood", ("tags",), "got 'mood'; suitable: genre"),
        (category_task, "genre", (), "category must name .* with one value, got 'genre'; suitable: artist"),
        (category_task, "genre", ("artist",), "got 'genre'; suitable: none"),
        (tags_task, "genre", ("title", "photo", "look"), "tags=genre: there is nothing .* kind text, .* or vector"),
        (category_task, "artist", ("photo", "look"), "category=artist: there is nothing .* kind image, .* or vector"),
    ],
)
def test_a_named_feature_must_do(task, feature, without, message):
    with pytest.raises(UsageError, match=message):
        choose(task, feature, without=without)
