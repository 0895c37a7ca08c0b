import numpy as np
import pytest
import tensorflow as tf

from tests.encoders.reusable import write_image_model, write_text_model, write_waveform_model
from tfmmrec.data.statistics import FeatureStatistics
from tfmmrec.encoders import (
    AudioEncoder,
    CategoryEncoder,
    IdentifierEncoder,
    ImageEncoder,
    NumberEncoder,
    PrecomputedEncoder,
    TextEncoder,
    VideoEncoder,
    WaveformModelEncoder,
)
from tfmmrec.models.parts import feature_encoder, feature_encoders, of_queries
from tfmmrec.schema import Feature
from tfmmrec.types import UsageError

WORDS = FeatureStatistics(vocabulary=["red", "hat"], idf=[1.0, 2.0], max_length=9)
CASES = [
    (Feature(kind="identifier"), FeatureStatistics(vocabulary=["a"]), IdentifierEncoder),
    (Feature(kind="category"), FeatureStatistics(vocabulary=["a"]), CategoryEncoder),
    (Feature(kind="number"), FeatureStatistics(edges=[0.0, 1.0]), NumberEncoder),
    (Feature(kind="text"), WORDS, TextEncoder),
    (Feature(kind="image"), FeatureStatistics(), ImageEncoder),
    (Feature(kind="audio"), FeatureStatistics(), AudioEncoder),
    (Feature(kind="video"), FeatureStatistics(), VideoEncoder),
    (Feature(kind="vector"), FeatureStatistics(dim=5), PrecomputedEncoder),
]


@pytest.mark.parametrize(("feature", "statistics", "kind"), CASES, ids=lambda case: getattr(case, "kind", ""))
def test_each_kind_has_its_encoder(feature, statistics, kind):
    encoder = feature_encoder("thing", feature, statistics, dim=4, image_size=16)
    assert type(encoder) is kind and encoder.name == "thing"


def test_every_kind_of_the_schema_is_here():
    kinds = Feature.model_fields["kind"].annotation.__args__
    assert {feature.kind for feature, _, _ in CASES} == set(kinds)


def test_a_text_is_read_up_to_its_usual_length_or_the_cap():
    feature = Feature(kind="text")
    encoder = feature_encoder("title", feature, WORDS, dim=4)
    assert (encoder.max_words, encoder.vocabulary, encoder.idf, encoder.dim) == (9, ["red", "hat"], [1.0, 2.0], 2)
    assert feature_encoder("title", feature, WORDS, dim=4, max_words=5).max_words == 5
    assert feature_encoder("title", feature, WORDS, dim=4, text_dim=1).dim == 1  # else as large as its words need


def test_categories_in_a_string_have_room_for_the_longest_row():
    statistics = FeatureStatistics(vocabulary=["a", "b"], max_length=3)
    encoder = feature_encoder("tags", Feature(kind="category", separator="|"), statistics, dim=2)
    assert (encoder.separator, encoder.max_values, encoder.is_list) == ("|", 3, False)
    assert encoder.preprocess(tf.constant(["a|b"]))["codes"].numpy().tolist() == [[0, 1, -1]]


def test_lists_have_the_width_of_the_schema_which_the_tables_have_too():
    statistics = FeatureStatistics(vocabulary=["a"], max_length=3, is_list=True)
    encoder = feature_encoder("tags", Feature(kind="category", max_values=7), statistics, dim=2)
    assert encoder.raw_spec() == tf.TensorSpec([None, 7], tf.string)


def test_pictures():
    encoder = feature_encoder(
        "photo", Feature(kind="image"), FeatureStatistics(), 4, image_mode="finetuned", image_size=32
    )
    assert (encoder.height, encoder.width, encoder.mode, encoder.dim) == (32, 32, "finetuned", 4)
    assert feature_encoder("photo", Feature(kind="image"), FeatureStatistics(), 4).mode == "cached"


def test_pictures_and_frames_are_changed_as_asked_for(tmp_path):
    def made(kind, **options):
        return feature_encoder("it", Feature(kind=kind), FeatureStatistics(), 4, image_augmentation="crop", **options)

    assert made("image").augmentation.manner == made("video").augmentation.manner == "crop"
    pretrained = {"pretrained": {"it": write_image_model(tmp_path / "m")}}
    assert made("image", **pretrained, pretrained_mode="finetuned").augmentation.manner == "crop"
    with pytest.raises(UsageError, match="it reads image and has mode='cached', whose vectors stay as they are"):
        made("image", **pretrained)
    pretrained = {"pretrained": {"it": write_text_model(tmp_path / "t")}}
    assert made("text", **pretrained).augmentation.manner == "none"  # it is no picture
    assert of_queries({"image_augmentation": "crop"})["image_augmentation"] == "crop"


def test_sounds():
    options = {"audio_mode": "finetuned", "audio_seconds": 2.0, "audio_features": "mfcc"}
    encoder = feature_encoder("sound", Feature(kind="audio"), FeatureStatistics(), 4, **options)
    assert (encoder.seconds, encoder.features, encoder.mode, encoder.dim) == (2.0, "mfcc", "finetuned", 4)
    assert feature_encoder("sound", Feature(kind="audio"), FeatureStatistics(), 4).mode == "cached"


def test_sounds_through_a_pretrained_encoder(tmp_path):
    options = {"pretrained": {"sound": write_waveform_model(tmp_path / "m")}, "pretrained_mode": "frozen"}
    encoder = feature_encoder("sound", Feature(kind="audio"), FeatureStatistics(), 4, **options, audio_seconds=2.0)
    assert type(encoder) is WaveformModelEncoder
    assert (encoder.seconds, encoder.mode, encoder.name, encoder.dim) == (2.0, "frozen", "sound", 3)


def test_videos():
    options = {"video_mode": "finetuned", "video_frames": 4, "video_pooling": "gru", "image_size": 32}
    encoder = feature_encoder("clip", Feature(kind="video"), FeatureStatistics(), 4, **options)
    assert (encoder.num_frames, encoder.pooling, encoder.mode, encoder.height) == (4, "gru", "finetuned", 32)
    assert feature_encoder("clip", Feature(kind="video"), FeatureStatistics(), 4).mode == "cached"


def test_of_queries_nothing_is_cached_or_pretrained():
    given = {
        "image_size": 32,
        "audio_mode": "cached",
        "pretrained": {"title": "somewhere"},
        "pretrained_mode": "frozen",
    }
    live = of_queries(given)
    assert live["image_size"] == 32 and not any(name.startswith("pretrained") for name in live)
    assert {value for name, value in live.items() if name.endswith("_mode")} == {"finetuned"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'image_sizes'; there are text_mode, "):
        of_queries({"image_sizes": 3})


def test_a_vector_keeps_its_own_size():
    assert feature_encoder("look", Feature(kind="vector"), FeatureStatistics(dim=5), dim=4).dim == 5


def test_a_number_takes_the_edges():
    edges = np.linspace(0.0, 3.0, 4).tolist()
    encoder = feature_encoder("price", Feature(kind="number"), FeatureStatistics(edges=edges), dim=4)
    assert (encoder.edges, encoder.dim) == (edges, 4)


def test_the_encoders_of_a_side_by_name():
    features = {"title": Feature(kind="text"), "price": Feature(kind="number")}
    statistics = {"title": WORDS, "price": FeatureStatistics(edges=[0.0, 1.0])}
    encoders = feature_encoders(features, statistics, 6, max_words=2)
    assert {name: (encoder.name, encoder.dim) for name, encoder in encoders.items()} == {
        "title": ("title", 2),
        "price": ("price", 6),
    }
    assert encoders["title"].max_words == 2
    assert feature_encoders({}, {}, 6) == {}
