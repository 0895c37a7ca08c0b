import numpy as np
import pytest
import tensorflow as tf

from tests.pretraining.flowers import NUM_ABSENT, flowers
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.pretrained import read_card
from tfmmrec.pretraining import pretrain
from tfmmrec.pretraining.contents import catalogue_of
from tfmmrec.pretraining.pretrain import OBJECTIVES, check_options, choose_objective, name_encoders
from tfmmrec.pretraining.pretraining_options import PretrainingOptions
from tfmmrec.runs import load_run
from tfmmrec.training import train
from tfmmrec.types import DataError, UsageError

QUICK = {"epochs": 1, "batch_size": 32}


def test_hidden_words_are_found_again(tmp_path):
    found = pretrain(flowers(), {"text": "small"}, tmp_path / "text", options={"epochs": 15, "batch_size": 16})
    before, best = found.fitted.epochs[0], found.fitted.best
    assert found.objective == "masked_token" and found.folders == {"text": tmp_path / "text"}
    assert best.valid_loss < 0.6 * before.valid_loss, "a flower says its colour"
    assert before.valid_loss == pytest.approx(found.fitted.chance, rel=0.1)
    assert best.valid_accuracy > 0.4 > before.valid_accuracy + 0.2
    card = read_card(tmp_path / "text")
    (done,) = card["pretraining"]
    assert (done["objective"], done["feature"], done["num_epochs"]) == ("masked_token", "text", best.number)
    assert done["contents_fingerprint"] == found.contents.fingerprint and done["num_absent"] == NUM_ABSENT
    assert done["loss"] == {"chance": found.fitted.chance, "before": before.valid_loss, "after": best.valid_loss}
    assert done["options"]["learning_rate"] == 1e-3 and done["options"]["epochs"] == 15
    check_options("masked_token", PretrainingOptions(**done["options"]))  # what is recorded can be asked for again
    assert not card["untrained"]


def test_two_versions_of_a_picture_find_each_other(tmp_path):
    options = {"epochs": 6, "batch_size": 32, "jitter": 0.0, "grayscale": 0.0}
    found = pretrain(flowers(), {"picture": "small"}, tmp_path / "picture", options=options)
    assert found.objective == "augmentation_pairs"
    assert found.fitted.best.valid_loss < 0.8 * found.fitted.epochs[0].valid_loss
    assert found.fitted.best.valid_loss < 0.7 * found.fitted.chance
    encoder = SavedModelEncoder(str(tmp_path / "picture"), "image")
    raw = flowers().candidates.media_bytes("picture", np.arange(2))
    given = encoder(encoder.preprocess(tf.constant([*raw, b""])))
    assert given["vector"].shape == (3, 128) and given["present"].numpy().tolist() == [True, True, False]


@pytest.mark.slow
def test_texts_and_pictures_find_each_other(tmp_path):
    encoders = {"picture": "small", "text": "small"}
    options = {"epochs": 8, "batch_size": 16}
    found = pretrain(flowers(400, is_numbered=False), encoders, tmp_path / "both", options=options)
    assert found.objective == "image_text"
    # whoever sees the colour guesses among a sixth of the others, less those with the same text
    assert found.fitted.best.valid_loss < 0.7 * found.fitted.chance
    assert found.folders == {"picture": tmp_path / "both" / "picture", "text": tmp_path / "both" / "text"}
    for feature, kind in (("picture", "image"), ("text", "text")):
        card = read_card(tmp_path / "both" / feature)
        assert card["input_kind"] == kind and card["pretraining"][0]["feature"] == feature
        assert card["pretraining"][0]["with"] == ["text" if feature == "picture" else "picture"]
        SavedModelEncoder(str(tmp_path / "both" / feature), kind, mode="finetuned")
    again = {feature: folder for feature, folder in found.folders.items()}
    with pytest.raises(UsageError, match="holds an exported encoder already; --overwrite replaces it"):
        pretrain(flowers(), again, tmp_path / "both", options=QUICK)
    pretrain(flowers(), again, tmp_path / "both", options=QUICK, overwrite=True)
    assert len(read_card(tmp_path / "both" / "text")["pretraining"]) == 2


@pytest.mark.slow
def test_it_goes_on_from_an_encoder_s_weights_and_leaves_it_as_it_was(tmp_path):
    pretrain(flowers(), {"text": "small"}, tmp_path / "first", options=QUICK | {"epochs": 4})
    first = read_card(tmp_path / "first")
    found = pretrain(flowers(), {"": tmp_path / "first"}, tmp_path / "second", options=QUICK)
    assert found.folders == {"text": tmp_path / "second"}
    assert read_card(tmp_path / "first") == first
    second = read_card(tmp_path / "second")
    assert second["fingerprint"] != first["fingerprint"] and len(second["pretraining"]) == 2
    assert second["pretraining"][1]["options"]["learning_rate"] == 5e-5
    one, two = (tf.saved_model.load(str(tmp_path / name)) for name in ("first", "second"))
    assert all((a.numpy() != b.numpy()).any() for a, b in zip(one.variables, two.variables, strict=True))


@pytest.mark.slow
def test_interactions_are_not_looked_at(tmp_path, small_text):
    for number in range(2):
        pretrain(flowers(chosen_seed=number), {"text": small_text}, tmp_path / str(number), options=QUICK)
    one, two = (read_card(tmp_path / str(number)) for number in range(2))
    assert flowers(chosen_seed=0).fingerprint != flowers(chosen_seed=1).fingerprint
    assert one["fingerprint"] == two["fingerprint"] and one["pretraining"] == two["pretraining"]


def test_a_failure_leaves_nothing(tmp_path, small_text):
    def stop(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(flowers(), {"text": small_text}, tmp_path / "to", options=QUICK, told=stop)
    assert not list(tmp_path.iterdir())
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something that is no exported encoder, and is not replaced"):
        pretrain(flowers(), {"text": small_text}, tmp_path / "to", options=QUICK, overwrite=True)
    assert (tmp_path / "to" / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        (
            {"title": "small"},
            "small reads a text or a picture, of which the candidates have text, picture; 'title' is n",
        ),
        ({"": "small"}, "of which the candidates have text, picture; name one: --encoder FEATURE=DIR"),
    ],
)
def test_a_feature_that_cannot_be_told_is_refused(encoders, message):
    with pytest.raises(UsageError, match=message):
        name_encoders(catalogue_of(flowers()), encoders)
    with pytest.raises(DataError, match="expected an exported encoder with encoder.json, found none"):
        name_encoders(catalogue_of(flowers()), {"text": "nowhere"})


def test_the_cold_are_told_by_interactions(tmp_path):
    with pytest.raises(UsageError, match="with_cold=false: which candidates are cold is told by a dataset"):
        pretrain(catalogue_of(flowers()), {"text": "small"}, tmp_path / "to", options={"with_cold": False})


def test_the_objective_goes_by_the_kinds():
    assert (
        choose_objective(None, ["image", "text"]) == choose_objective("image_text", ["text", "image"]) == "image_text"
    )
    with pytest.raises(
        UsageError, match="masked_token does not take encoders of image; there are masked_token: text; "
    ):
        choose_objective("masked_token", ["image"])
    with pytest.raises(UsageError, match="pretraining does not take encoders of text and text; there are"):
        choose_objective(None, ["text", "text"])
    with pytest.raises(UsageError, match="objective must be one of masked_token, .*, got 'masked'"):
        choose_objective("masked", ["text"])


def test_an_option_of_another_objective_is_refused():
    message = "temperature is an option of augmentation_pairs, not of masked_token; leave it out"
    with pytest.raises(UsageError, match=message):
        pretrain(flowers(), {"text": "small"}, "nowhere", options=QUICK | {"mask_share": 0.2, "temperature": 0.2})
    with pytest.raises(UsageError, match="mask_share is an option of masked_token, not of image_text"):
        check_options("image_text", PretrainingOptions(mask_share=0.15))  # the default, but asked for
    message = "projection_dim is an option of augmentation_pairs and image_text, not of masked_token"
    with pytest.raises(UsageError, match=message):
        check_options("masked_token", PretrainingOptions(projection_dim=8))
    for name, objective in OBJECTIVES.items():
        defaults = {option: getattr(PretrainingOptions(), option) for option in objective.own_options}
        check_options(name, PretrainingOptions(**QUICK, **defaults))


@pytest.mark.slow
def test_a_model_trains_and_finds_with_it(tmp_path):
    pretrain(flowers(), {"picture": "small"}, tmp_path / "first", options=QUICK)
    found = pretrain(flowers(), {"picture": "small"}, tmp_path / "more", options=QUICK | {"epochs": 5})
    vectors = []
    for name in ("first", "more"):
        settings = {"dim": 8, "feature_dim": 8, "pretrained": {"picture": str(tmp_path / name)}}
        train(flowers(), tmp_path / f"run {name}", "two_tower", settings, {"epochs": 2, "batch_size": 64})
        run = load_run(tmp_path / f"run {name}")
        encoder = run.model.candidate_tower.encoders["picture"]
        assert encoder.handle == str(tmp_path / name)
        raw = flowers().candidates.media_bytes("picture", np.arange(4))
        vectors.append(encoder(encoder.preprocess(tf.constant(raw)))["vector"].numpy())
        np.testing.assert_allclose(vectors[-1], tf.saved_model.load(str(tmp_path / name))(raw), rtol=1e-4, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1
    assert found.fitted.best.number > 1
