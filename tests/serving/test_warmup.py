import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfmmrec.serving.warmup import WARMUP_FILE, histories, write_warmup


def test_requests_parse_and_replay(served, song_dataset, tmp_path):
    count = write_warmup(tmp_path, served, song_dataset)
    records = list(tf.data.TFRecordDataset(str(tmp_path / WARMUP_FILE)).as_numpy_iterator())
    assert len(records) == count == 4 * len(served.signatures_to_save)
    asked = set()
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        signature = request.model_spec.signature_name
        asked.add(signature)
        function = getattr(served, signature)
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        assert set(inputs) == set(served.inputs(signature)), "a server that joins requests needs every input"
        outputs = function(**inputs)
        sizes = {tensor.shape[0] for tensor in inputs.values()}
        assert {tensor.shape[0] for tensor in outputs.values()} == sizes
        if "scores" in outputs:
            assert np.isfinite(outputs["scores"]).any()
    assert asked == set(served.signatures_to_save)


def test_rows_are_those_of_the_dataset(served, song_dataset, tmp_path):
    write_warmup(tmp_path, served, song_dataset)
    known = {id.encode() for id in song_dataset.queries.ids.to_pylist()}
    for record in tf.data.TFRecordDataset(str(tmp_path / WARMUP_FILE)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        if request.model_spec.signature_name == "recommend":
            assert set(tf.make_ndarray(request.inputs["query_id"])) <= known
            assert (tf.make_ndarray(request.inputs["history"])[:, 0] != b"").all()


def test_histories_are_newest_first_and_padded(song_dataset):
    found = histories(song_dataset, np.array([0, 3]), 6)
    for place, query in enumerate((0, 3)):
        ids = song_dataset.candidates.ids.take(song_dataset.train.candidates_of(query)).to_pylist()
        assert found[place].tolist() == (ids[::-1] + [""] * 6)[:6]
