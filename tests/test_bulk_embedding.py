import pytest

from tests.conformance.models import NUM_CANDIDATES, catalogue
from tests.encoders.reusable import write_image_model, write_text_model
from tfmmrec.bulk_embedding import embed_catalogue
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.stored_encoding import open_store
from tfmmrec.types import DataError, UsageError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_text_model(tmp_path_factory.mktemp("data") / "encoder")


def test_every_content_is_encoded_once(encoder, tmp_path):
    told = []
    found = embed_catalogue(catalogue(), encoder, "title", tmp_path, progress=lambda *what: told.append(what))
    titles = [text or "" for text in catalogue().candidates.features["title"].to_pylist()]
    assert (found.feature, found.num_candidates, found.dim) == ("title", NUM_CANDIDATES, 4)
    assert found.num_contents == found.num_new == len(set(titles))
    assert found.num_absent == titles.count("") > 0
    assert told[-1] == ("title", NUM_CANDIDATES, NUM_CANDIDATES)
    again = embed_catalogue(catalogue(), encoder, "title", tmp_path)
    assert again.num_new == 0 and again.store == found.store


def test_a_training_finds_them(encoder, tmp_path):
    found = embed_catalogue(catalogue(), encoder, "title", tmp_path, dtype="float16")
    store = open_store(SavedModelEncoder(encoder, "text", mode="cached"), tmp_path, "float16")
    assert store.folder == found.store and len(store) == found.num_contents


def test_pictures_that_are_missing_are_counted(tmp_path):
    found = embed_catalogue(catalogue(), write_image_model(tmp_path / "encoder"), "photo", tmp_path / "store")
    assert found.num_absent == 1  # row 1 has none


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (None, "encoders read texts and pictures, of which the candidates have title, photo; name one"),
        ("price", "of which the candidates have title, photo; 'price' is none of them"),
    ],
)
def test_a_feature_that_cannot_be_told_is_refused(encoder, feature, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        embed_catalogue(catalogue(), encoder, feature, tmp_path)


def test_what_is_no_encoder_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a TF-Hub handle or a directory with saved_model.pb"):
        embed_catalogue(catalogue(), tmp_path / "none", "title", tmp_path)
