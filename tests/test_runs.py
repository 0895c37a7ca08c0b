import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.models import SMALL, statistics
from tests.run_configs import config
from tests.serving.catalogue import songs, untrained_run
from tfmmrec import runs
from tfmmrec.data.fashion import write_fashion
from tfmmrec.runs import (
    Run,
    build_model,
    check_retriever,
    load_run,
    read_state,
    save_arrays,
    write_config,
    write_text,
)
from tfmmrec.types import DataError, UsageError


@pytest.fixture
def run(tmp_path):
    return untrained_run(songs(), tmp_path / "run", "id_only")


def test_arrays_are_written_whole(tmp_path):
    arrays = {"vector": np.arange(6.0).reshape(2, 3), "present": np.array([True, False])}
    path = tmp_path / "encoders" / "photo.npz"
    save_arrays(path, arrays)
    save_arrays(path, arrays)
    assert list(path.parent.iterdir()) == [path]
    with np.load(path) as found:
        assert set(found) == set(arrays)
        np.testing.assert_array_equal(found["vector"], arrays["vector"])


def test_the_state_before_the_first_phase_is_empty(tmp_path):
    assert read_state(tmp_path) == {}
    write_text(tmp_path / "state.json", '{"phase": "refit", "epochs": 3}')
    assert read_state(tmp_path) == {"phase": "refit", "epochs": 3}


def test_a_run_comes_back_with_its_model(run):
    found = load_run(run.path)
    assert found.config == run.config and found.statistics == run.statistics and found.history_length == 0
    for one, other in zip(found.model.trainable_variables, run.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_length_of_histories(tmp_path):
    assert untrained_run(songs(), tmp_path / "run", "history_only").history_length == 5


def test_a_run_that_has_not_finished_is_refused_with_the_way_on(run):
    write_config(run.path, run.config.model_copy(update={"finished": False}))
    with pytest.raises(DataError, match=r"has not finished; go on with `tfmmrec train ... --run .*run --resume`"):
        load_run(run.path)


@pytest.mark.parametrize("content", [None, "{"])
def test_statistics_that_cannot_be_read_are_refused(run, content):
    file = run.path / "statistics.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(DataError, match="statistics.json: the model cannot be built without it"):
        load_run(run.path)


def test_weights_that_are_not_there_are_refused(run):
    for path in (run.path / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="checkpoints/final: the weights cannot be read"):
        load_run(run.path)


def test_weights_that_are_cut_off_are_refused(run):
    (data,) = (run.path / "checkpoints").glob("final.data*")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(DataError, match="checkpoints/final: the weights cannot be read"):
        load_run(run.path)


def test_weights_of_another_model_are_refused(run):
    other = run.config.model_copy(update={"hyperparameters": run.config.hyperparameters | {"dim": 5}})
    write_config(run.path, other)
    with pytest.raises(DataError, match="checkpoints/final: the weights cannot be read"):
        load_run(run.path)


@pytest.mark.parametrize("change", [{"model": "of tomorrow"}, {"hyperparameters": {"of_tomorrow": 3}}])
def test_a_run_of_another_version_s_zoo_is_refused(run, change):
    write_config(run.path, run.config.model_copy(update=change))
    with pytest.raises(UsageError, match="of.tomorrow"):
        load_run(run.path)


def test_a_model_is_built_for_the_batch_that_it_was_trained_with():
    sampled = {"loss": "sampled_softmax", **SMALL}
    counted = build_model(config(model="two_tower", hyperparameters=sampled), statistics())
    assert counted.streaming_frequency is None
    own = build_model(config(hyperparameters={"loss": "sampled_softmax", "global_batch_size": 99}), statistics())
    assert not np.allclose(own._log_probability, counted._log_probability)
    other = build_model(config(hyperparameters={"loss": "sampled_softmax"}, options={"batch_size": 99}), statistics())
    np.testing.assert_array_equal(own._log_probability, other._log_probability)


def test_a_dataset_is_found_where_it_was_or_where_it_is_now(tmp_path):
    folder = write_fashion(tmp_path / "fashion", num_candidates=100, num_queries=20, num_interactions=200)
    run = untrained_run(runs.load_dataset(folder), tmp_path / "run", "id_only")
    fingerprint = run.load_dataset().fingerprint
    folder.rename(tmp_path / "moved")
    assert run.load_dataset(tmp_path / "moved").fingerprint == fingerprint
    with pytest.raises(DataError, match="fashion"):
        run.load_dataset()


def test_data_in_memory_cannot_be_found_again(run):
    with pytest.raises(DataError, match="was trained on data in memory; name a dataset folder"):
        run.load_dataset()


def test_a_run_embeds_a_dataset(tmp_path):
    dataset = songs()
    run, told = untrained_run(dataset, tmp_path / "run", "two_tower"), []
    embedder = run.embedder(dataset, progress=lambda *what: told.append(what))
    candidates = embedder.candidates()
    assert candidates.shape == (30, SMALL["dim"]) and np.isfinite(candidates).all()
    raw = {"id": ["s3"], **{k: v[3:4] for k, v in _raw(run, dataset).items() if k != "id"}}
    specs = run.model.candidate_tower.raw_signature()
    inputs = run.model.candidate_tower.preprocess({k: tf.constant(v, specs[k].dtype) for k, v in raw.items()})
    np.testing.assert_allclose(run.model.embed_candidates(inputs)[0], candidates[3], rtol=1e-4, atol=1e-5)
    assert {"id", "title", "sound", "about"} <= {what for what, _, _ in told}


def _raw(run, dataset):
    from tfmmrec.embedding import raw_inputs

    return raw_inputs(run.model.candidate_tower, dataset.candidates, dataset.schema.candidates.features, np.arange(30))


def test_two_stages_are_of_one_dataset_and_of_two_kinds(tmp_path):
    def made(model, fingerprint="a" * 20):
        return Run(tmp_path / model, config(model=model, dataset_fingerprint=fingerprint), None, None)

    ranker, retriever = made("ranker"), made("id_only")
    assert (ranker.kind, retriever.kind) == ("ranking", "retrieval")
    check_retriever(ranker, retriever)
    with pytest.raises(UsageError, match="id_only: id_only is a retrieval model and finds candidates by itself"):
        check_retriever(retriever, retriever)
    with pytest.raises(UsageError, match="ranker: a retriever must be the run of a retrieval model, got ranker"):
        check_retriever(ranker, ranker)
    with pytest.raises(DataError, match=r"id_only: was not trained on the data of .*ranker .*aaaaaaaaaaaa, none"):
        check_retriever(ranker, made("id_only", ""))


def test_data_without_a_fingerprint_are_told_apart_by_what_was_counted(tmp_path):
    def made(model, **changes):
        return Run(tmp_path / model, config(model=model), statistics().model_copy(update=changes), None)

    ranker = made("ranker")
    check_retriever(ranker, made("id_only"))
    counts = [count + 1 for count in statistics().candidate_counts]
    with pytest.raises(DataError, match=r"ranker \(no fingerprints, other interactions\): what the one learned"):
        check_retriever(ranker, made("id_only", candidate_counts=counts))
    ids = [f"other {id}" for id in statistics().candidate_ids]
    with pytest.raises(DataError, match=r"\(no fingerprints, other candidates, queries\)"):
        check_retriever(ranker, made("id_only", candidate_ids=ids, query_ids=["somebody"]))
