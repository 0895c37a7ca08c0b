import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.conftest import ROOT
from tests.serving.catalogue import fashion, songs, untrained_run
from tfmmrec.embedding import raw_inputs
from tfmmrec.runs import Run, build_model, write_config
from tfmmrec.serving.evaluation_queries import evaluation_queries, read_evaluation
from tfmmrec.serving.export import export_run
from tfmmrec.serving.exported_model import load_exported, read_extra
from tfmmrec.serving.inputs import ListLengths
from tfmmrec.serving.serve_run import serve_run
from tfmmrec.types import DataError, UsageError


def test_what_lies_in_an_export(exported):
    files = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    extra = ("model.json", "schema.json", "signatures.json", "size.json", "candidates.parquet")
    extra += ("contents.parquet", "evaluation.parquet", "tf_serving_warmup_requests")
    assert {"saved_model.pb", "variables/variables.index", *(f"assets.extra/{name}" for name in extra)} <= files


def test_the_queries_that_are_taken_along_are_the_test_s(exported, song_dataset):
    """With the history that the model reads in front, and drawn by the run's seed."""
    assert read_evaluation(exported) == evaluation_queries(song_dataset, seed=0, history_length=5)


def test_no_input_has_a_name_that_is_changed(exported):
    content = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    signatures = content.meta_graphs[0].signature_def
    described = json.loads((exported / "assets.extra" / "signatures.json").read_text())
    for name, entry in described.items():
        assert set(signatures[name].inputs) == set(entry["inputs"])
        assert set(signatures[name].inputs) - set(signatures[name].defaults) == set(entry["required"])
        assert not any("/" in key for key in entry["inputs"])
        for key, value in signatures[name].defaults.items():
            assert value.tensor_shape.dim[0].size == 1, f"{name}: one row of {key} stands for a batch of any size"


def test_nothing_is_saved_twice_and_no_table_is_in_the_graph(tmp_path):
    """With 1,500 candidates, of which every table grows, the arrays are all that grows."""
    dataset = songs(num_candidates=1500, num_queries=400)
    path = export_run(untrained_run(dataset, tmp_path / "run", dim=64), dataset=dataset)
    assert path == tmp_path / "run" / "export"
    sizes = json.loads((path / "assets.extra" / "size.json").read_text())
    written = sum(file.stat().st_size for file in (path / "variables").iterdir())
    assert sizes["total_bytes"] <= written <= 1.02 * sizes["total_bytes"]
    content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    library = content.meta_graphs[0].graph_def.library.function
    constants = [node for function in library for node in function.node_def if node.op == "Const"]
    assert constants and max(node.ByteSize() for node in constants) < 8192
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    arrays = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "CHECKPOINTABLE" not in name]
    large = [array for array in arrays if array.size > 1000 and array.dtype == np.float32]
    assert len(large) >= 3
    for place, array in enumerate(large):
        for other in large[place + 1 :]:
            assert array.shape != other.shape or not np.array_equal(array, other)


def test_a_run_folder_is_enough(tmp_path, song_run, smaller_export):
    """The dataset is loaded from where it was, or from elsewhere; other candidates may be indexed."""
    with pytest.raises(DataError, match="was trained on data in memory; name a dataset folder"):
        export_run(song_run.path, tmp_path / "out")
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    assert pq.read_metadata(smaller_export / "assets.extra" / "candidates.parquet").num_rows == 26


def test_the_door_is_checked_first(tmp_path, song_run):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds something that is no export"):
        export_run(song_run, tmp_path / "mine", dataset="a folder that is not even looked for")
    write_config(tmp_path / "run", song_run.config.model_copy(update={"finished": False}))
    with pytest.raises(DataError, match="its training has not finished"):
        export_run(tmp_path / "run")
    assert not (tmp_path / "run" / "export").exists()


def test_a_ranking_model_alone(exported_ranker):
    model = load_exported(exported_ranker)
    about = model.about
    assert (about["kind"], about["model"], "retriever" in about) == ("ranking", "ranker", False)
    assert about["signatures"] == ["serving_default", "score", "embed_candidate"] == list(model.signatures)
    assert (exported_ranker / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
    found = model.ask("score", query_id="q1", candidate_id="s3")["scores"]
    assert np.isfinite(found) and found == model.ask("serving_default", query_id="q1", candidate_id="s3")["scores"]


def test_a_cascade(exported, exported_cascade):
    about = read_extra(exported_cascade, "model.json")
    assert (about["kind"], about["model"], about["num_candidates"]) == ("ranking", "ranker", 30)
    assert about["retriever"] == {"run_id": "run-7", "model": "two_tower", "depth": 200}
    assert read_extra(exported, "model.json")["kind"] == "retrieval"
    sizes = [read_extra(path, "size.json") for path in (exported, exported_cascade)]
    assert sizes[1]["index"]["parts"]["shape"][0] == 30 and "parts" not in sizes[0]["index"]
    written = sum(file.stat().st_size for file in (exported_cascade / "variables").iterdir())
    assert sizes[1]["total_bytes"] <= written


def test_a_retriever_that_is_none_is_refused(ranking_run, song_run, song_dataset, tmp_path):
    with pytest.raises(UsageError, match="two_tower is a retrieval model and finds candidates by itself"):
        export_run(song_run, tmp_path / "out", song_dataset, retriever=song_run)
    with pytest.raises(UsageError, match="a retriever must be the run of a retrieval model, got ranker"):
        export_run(ranking_run.path, tmp_path / "out", song_dataset, retriever=ranking_run.path)
    config = song_run.config.model_copy(update={"dataset_fingerprint": "b" * 20})
    other = Run(song_run.path, config, song_run.statistics, song_run.model)
    with pytest.raises(DataError, match=rf"{song_run.path}: was not trained on the data of {ranking_run.path}"):
        export_run(ranking_run, tmp_path / "out", song_dataset, retriever=other)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_killed_while_another_exports(tmp_path):
    """A real export, killed on its way: nothing of it is seen, the other is whole, the next one clears up."""
    dataset = fashion(tmp_path / "data")
    run = untrained_run(dataset, tmp_path / "run")
    target = tmp_path / "out" / "export"
    code = f"from tfmmrec.serving.export import export_run\nexport_run({str(run.path)!r}, {str(target)!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    slow = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
    while not (staged := list(target.parent.glob(".export.export-*")) if target.parent.exists() else []):
        assert slow.poll() is None, slow.stderr.read()
        time.sleep(0.01)
    slow.send_signal(signal.SIGSTOP)  # it holds still, in the middle
    assert not target.exists()
    export_run(run, target, dataset)
    assert staged[0].exists(), "what somebody else is writing is not cleared away"
    slow.kill()
    slow.communicate()
    assert sorted(path.name for path in target.parent.iterdir()) == [staged[0].name, "export"]
    first = (target / "saved_model.pb").stat().st_ino
    export_run(run, target, dataset)
    assert [path.name for path in target.parent.iterdir()] == ["export"]
    assert (target / "saved_model.pb").stat().st_ino != first and load_exported(target).about["run_id"] == "run-7"


@pytest.mark.slow
def test_a_model_on_several_replicas(tmp_path, song_run, song_dataset, replicas):
    with replicas(2).scope():
        mirrored = build_model(song_run.config, song_run.statistics)
    run = Run(song_run.path, song_run.config, song_run.statistics, mirrored)
    model = load_exported(export_run(run, tmp_path / "out", song_dataset))
    expected = song_run.embedder(song_dataset).candidates()
    raw = raw_inputs(
        song_run.model.candidate_tower, song_dataset.candidates, song_dataset.schema.candidates.features, [4]
    )
    found = model.ask("embed_candidate", **{f"candidate_{name}": value[0] for name, value in raw.items()})
    np.testing.assert_allclose(found["vectors"], expected[4], atol=1e-5)


def test_lengths_are_chosen_at_export(song_run, song_dataset, served):
    chosen = serve_run(song_run, song_dataset, lengths=ListLengths(history=2, exclude=1, allow=1, deny=1))
    shapes = {name: made.spec.shape.as_list() for name, made in chosen.inputs("recommend").items()}
    assert (shapes["history"], shapes["exclude"], shapes["allow"], shapes["deny"]) == ([None, 2],) + 3 * ([None, 1],)
    default = served.inputs("serving_default")["history"].spec.shape.as_list()
    assert default == [None, 5], "the model's own"
