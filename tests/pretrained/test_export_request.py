import pytest

from tfmmrec.pretrained import ExportRequest
from tfmmrec.types import DataError, UsageError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "sum"}, "pooling must be mean, cls or max, got 'sum'"),
        ({"half": "sound"}, "half must be text or image, got 'sound'"),
        ({"max_length": 2}, "max_length must be at least 3, got 2"),
        ({"image_size": 0}, "image_size must be at least 1, got 0"),
        ({"num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"num_frames": 8}, "num_frames is for TF-Hub models of clips; bert is none, leave it out"),
        ({"weights": "w.h5"}, "weights is for applications:NAME; bert brings its own"),
    ],
)
def test_arguments_that_are_none_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        ExportRequest("bert", **options)


def test_random_weights_are_not_taken_for_trained_ones(tmp_path):
    with pytest.raises(UsageError, match="applications:ResNet50 has no weights by itself: name their file with --wei"):
        ExportRequest("applications:ResNet50")
    with pytest.raises(UsageError, match="weights and untrained contradict each other"):
        ExportRequest("applications:ResNet50", weights="w.h5", untrained=True)
    with pytest.raises(DataError, match="w.h5: expected a file with the weights of applications:ResNet50, found none"):
        ExportRequest("applications:ResNet50", weights=str(tmp_path / "w.h5"))
    assert ExportRequest("applications:ResNet50", untrained=True).kind == "application"


def test_what_a_source_is(tmp_path):
    for file, kind in (("saved_model.pb", "hub"), ("config.json", "checkpoint")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / file).touch()
        assert ExportRequest(str(tmp_path / kind)).kind == kind
    kinds = {"bert_tiny_en_uncased": "preset", "hf://some/bert": "checkpoint", "https://tfhub.dev/google/x/1": "hub"}
    assert {source: ExportRequest(source).kind for source in kinds} == kinds


def test_where_there_is_nothing(tmp_path):
    (tmp_path / "file").touch()
    for name, found in (("", "neither"), ("file", "a file"), ("nowhere", "nothing")):
        with pytest.raises(DataError, match=f"expected a directory with config.json .*, found {found}"):
            ExportRequest(str(tmp_path / name)).kind  # noqa: B018


def test_options_without_meaning_are_refused():
    request = ExportRequest("bert", image_size=8)
    request.refuse("it reads texts", "pooling", "untrained")
    with pytest.raises(UsageError, match="bert: it reads texts, so --image-size has no meaning; leave it out"):
        request.refuse("it reads texts", "pooling", "image_size")
