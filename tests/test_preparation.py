import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import SMALL
from tests.encoders.reusable import write_image_model
from tests.serving.catalogue import recordings
from tfmmrec import preparation
from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.data.statistics import compute_statistics
from tfmmrec.latent_semantics import latent_semantics
from tfmmrec.preparation import encode, prepare
from tfmmrec.runs import RunConfig, build_model

STEPS = 3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "fashion"
    return load_dataset(write_fashion(folder, num_candidates=120, num_queries=40, num_interactions=400))


@pytest.fixture(scope="module")
def statistics(dataset):
    return compute_statistics(dataset)


@pytest.fixture(scope="module")
def prepared_in(dataset, statistics):
    """`prepared_in(folder)`: prepares a model that is built from the seed, as a training does."""

    def run(folder, dataset=dataset, statistics=statistics, **hyperparameters):
        options = {"seed": 3, "image_steps": STEPS}
        config = RunConfig(
            run_id="a",
            version="0",
            model="two_tower",
            hyperparameters=SMALL | hyperparameters,
            options=options,
            data_schema=dataset.schema,
        )
        tf.keras.utils.set_random_seed(3)
        model, told = build_model(config, statistics), []
        found = prepare(model, dataset, config, dataset.train, folder, lambda *what: told.append(what))
        return found, model, told

    return run


@pytest.fixture(scope="module")
def first(prepared_in, tmp_path_factory):
    """What is prepared, the model, what was told, the folder, and how the image network was trained."""
    folder, calls, fit = tmp_path_factory.mktemp("run"), [], preparation.fit_encoder

    def noted(encoder, *given, **options):
        before = encoder.get_weights()
        fit(encoder, *given, **options)
        calls.append((options, before))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation, "fit_encoder", noted)
        return *prepared_in(folder), folder, calls


def same(one, other):
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)


def test_tables_of_both_sides(first, dataset):
    found, model, told, *_ = first
    assert set(found.query_tables) == set(model.query_tower.encoders) - {"history"}
    assert set(found.candidate_tables) == set(model.candidate_tower.encoders)
    for side, tables in ((dataset.queries, found.query_tables), (dataset.candidates, found.candidate_tables)):
        for name, tensors in tables.items():
            assert all(len(array) == len(side) for array in tensors.values()), name
    for name in model.candidate_tower.cached_features:
        assert set(found.candidate_tables[name]) == {"vector", "present"}
    assert found.candidate_tables["picture"]["vector"].shape == (120, SMALL["feature_dim"])
    assert found.candidate_tables["picture"]["present"].sum() == 114  # 5% have no picture
    assert {"id", "picture", "description", "picture: training"} <= {what for what, _, _ in told}


def test_the_image_network_learns_for_a_bounded_while_and_is_then_frozen(first):
    found, model, _, _, ((options, before),) = first
    assert (options["num_steps"], options["seed"]) == (STEPS, 3)
    encoder = model.candidate_tower.encoders["picture"]
    assert not encoder.trainable
    same(found.encoder_weights["picture"], encoder.get_weights())
    assert not any(np.array_equal(*pair) for pair in zip(encoder.get_weights(), before, strict=True))


def test_vectors_of_cached_encoders_are_those_of_the_kept_weights(first, dataset):
    found, model, *_ = first
    encoder, rows = model.candidate_tower.encoders["picture"], np.arange(5, 15)
    inputs = encoder.preprocess(tf.constant(dataset.candidates.media_bytes("picture", rows)))
    expected = encoder(inputs, training=False)
    np.testing.assert_allclose(found.candidate_tables["picture"]["vector"][rows], expected["vector"], atol=1e-5)
    np.testing.assert_array_equal(found.candidate_tables["picture"]["present"][rows], expected["present"])


def test_what_was_prepared_is_not_prepared_again(first, prepared_in, monkeypatch):
    found, _, _, folder, _ = first
    assert {path.stem for path in (folder / "encoders").iterdir()} == {"picture", "title", "description"}
    monkeypatch.setattr(preparation, "fit_encoder", lambda *_, **__: pytest.fail("the network was trained again"))
    monkeypatch.setattr(preparation, "latent_semantics", lambda *_: pytest.fail("the words were learned again"))
    again, _, _ = prepared_in(folder)
    same(again.candidate_tables, found.candidate_tables)
    same(again.encoder_weights, found.encoder_weights)


@pytest.mark.usefixtures("deterministic")
@pytest.mark.slow
def test_a_preparation_that_was_killed_ends_as_one_that_was_not(prepared_in, dataset, tmp_path):
    text = (dataset.root / "dataset.yaml").read_text()
    features = "    picture: {kind: image}\n    back: {kind: image, column: picture}\n"
    (tmp_path / "two.yaml").write_text(text.replace("    picture: {kind: image}\n", features))
    two = load_dataset(dataset.root, tmp_path / "two.yaml")
    arguments = {"dataset": two, "statistics": compute_statistics(two), "text_mode": "finetuned"}
    whole, _, _ = prepared_in(tmp_path, **arguments)
    (tmp_path / "encoders" / "back.npz").unlink()  # killed before this one was written, after the other was
    parts, _, _ = prepared_in(tmp_path, **arguments)
    same(parts.candidate_tables, whole.candidate_tables)
    same(parts.encoder_weights, whole.encoder_weights)


def test_nothing_is_cached_where_everything_is_trained(prepared_in, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "fit_encoder", lambda *_, **__: pytest.fail("it is trained with the rest"))
    found, _, _ = prepared_in(tmp_path, image_mode="finetuned", text_mode="finetuned")
    assert not (tmp_path / "encoders").exists()
    assert set(found.candidate_tables["picture"]) == {"pixels", "has_pixels"}
    assert found.candidate_tables["title"]["words"].dtype.kind == "i"
    assert set(found.encoder_weights) == {"title", "description"}  # words start from what they mean together


def test_a_pretrained_encoder_is_run_and_not_trained(prepared_in, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "fit_encoder", lambda *_, **__: pytest.fail("a pretrained encoder was trained"))
    handle = write_image_model(tmp_path / "encoder", 3)
    found, _, _ = prepared_in(tmp_path, pretrained={"picture": str(handle)})
    assert found.candidate_tables["picture"]["vector"].shape == (120, 3)
    assert "picture" not in found.encoder_weights
    assert not (tmp_path / "encoders" / "picture.npz").exists()  # the feature store has its vectors


@pytest.mark.parametrize("mode", ["cached", "frozen"])
def test_pretrained_vectors_are_centred_by_the_mean_of_chosen_candidates(prepared_in, dataset, tmp_path, mode):
    handle = str(write_image_model(tmp_path / "encoder", 3))
    found, model, _ = prepared_in(
        tmp_path, pretrained={"picture": handle}, pretrained_mode=mode, pretrained_centered=True
    )
    tower = model.candidate_tower
    encoder, chosen = tower.encoders["picture"], dataset.train.counts() > 0
    raw = encoder.preprocess(tf.constant(dataset.candidates.media_bytes("picture", np.arange(120))))
    own = encode(encoder, {key: tensor.numpy() for key, tensor in raw.items()}, terms=False)
    expected = own["vector"][chosen & own["present"]].mean(axis=0)
    np.testing.assert_allclose(found.means["picture"], expected, rtol=1e-4)
    found.give(model)
    rows = {
        name: {key: tf.constant(array) for key, array in part.items()} for name, part in found.candidate_tables.items()
    }
    vectors = tower.encode(rows)["picture"]["vector"].numpy()
    np.testing.assert_allclose(vectors, np.where(own["present"][:, None], own["vector"] - expected, 0.0), atol=1e-4)
    np.testing.assert_array_equal(tower.encode(tower.encode(rows))["picture"]["vector"], vectors)  # once


def test_encoding_does_not_depend_on_the_batch(first, dataset):
    encoder = first[1].candidate_tower.encoders["picture"]
    inputs = encoder.preprocess(tf.constant(dataset.candidates.media_bytes("picture", np.arange(10))))
    inputs = {name: tensor.numpy() for name, tensor in inputs.items()}
    whole, parts = encode(encoder, inputs, terms=False), encode(encoder, inputs, terms=False, batch_size=3)
    np.testing.assert_allclose(parts["vector"], whole["vector"], atol=1e-5)
    np.testing.assert_array_equal(parts["present"], whole["present"])
    assert whole["vector"].dtype == np.float32


def test_words_that_texts_share_get_the_semantics_of_all_of_them(dataset, statistics, tmp_path):
    config = RunConfig(
        run_id="a",
        version="0",
        model="text_pair",
        hyperparameters={"dim": 6},
        options={"seed": 3, "image_steps": STEPS},
        data_schema=dataset.schema,
    )
    model = build_model(config, statistics)
    found = prepare(model, dataset, config, dataset.train, tmp_path)
    names = list(model.candidate_tower.fusion.order)
    words = np.concatenate([found.candidate_tables[name]["tokens"] for name in names], axis=1) - 1
    table = model.scorer.table
    expected = latent_semantics(words, np.array(table.idf), 6, seed=3)
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-12)
    seen = np.isin(np.arange(len(expected)), words)
    assert seen.sum() > 10
    np.testing.assert_allclose(table.embeddings.numpy()[seen], expected[seen], atol=1e-5)
    other = build_model(config, statistics)
    (name,) = found.encoder_weights
    other.candidate_tower.encoders[name].set_weights(found.encoder_weights[name])  # as a training does
    np.testing.assert_array_equal(other.scorer.table.embeddings, table.embeddings)


def test_sounds_and_videos_are_learnt_and_cached_as_pictures_are(prepared_in, tmp_path):
    dataset, sizes = recordings(num_candidates=90, num_queries=30), {"audio_seconds": 0.2, "video_frames": 3}
    found, model, told = prepared_in(tmp_path, dataset, compute_statistics(dataset), **sizes)
    assert {"sound: training", "cover: training"} <= {what for what, _, _ in told}
    for name, kind in (("sound", "audio"), ("cover", "video")):
        encoder, table = model.candidate_tower.encoders[name], found.candidate_tables[name]
        assert set(table) == {"vector", "present"} and table["present"].sum() == 89 and not encoder.trainable
        inputs = encoder.preprocess(tf.constant(dataset.candidates.media_bytes(name, np.arange(3, 9), kind)))
        np.testing.assert_allclose(table["vector"][3:9], encoder(inputs)["vector"], atol=1e-3)
        same(found.encoder_weights[name], encoder.get_weights())
