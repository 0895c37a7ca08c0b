import tensorflow as tf

from tfmmrec.serving.inputs import make_input
from tfmmrec.serving.saved_weights import loaded_objects, weight_paths, weights_read


def test_every_weight_has_the_path_of_its_owner(ranking_run):
    model = ranking_run.model
    paths = weight_paths(model, "ranker/")
    assert {paths[id(variable)].split("/")[1] for variable in model.trainable_variables} == {
        "query_tower",
        "candidate_tower",
        "scorer",
    }
    ids = model.candidate_tower.encoders["id"]
    assert paths[id(ids.embeddings)] == "ranker/candidate_tower/encoders/id/embeddings"
    assert weight_paths(model)[id(ids.lookup.rows)] == "candidate_tower/encoders/id/lookup/rows"
    assert any(path.startswith("ranker/scorer/network/") for path in paths.values())


def test_what_is_read_and_not_elsewhere():
    class Part(tf.Module):
        def __init__(self):
            super().__init__()
            self.variable = tf.Variable([1.0])

    read, elsewhere = Part(), Part()
    unread = tf.Variable([1.0], name="unread")
    nameless = tf.Variable([1.0], name="nameless")
    paths = {id(read.variable): "a/b", id(unread): "unread"}
    inputs = {"x": make_input("x", tf.float32, 0.0, "a number")}
    found = weights_read(
        lambda given: given["x"] + read.variable + elsewhere.variable + nameless, inputs, paths, [elsewhere]
    )
    assert {name: id(variable) for name, variable in found.items()} == {
        "a/b": id(read.variable),
        "nameless": id(nameless),
    }


def test_no_loaded_encoder_no_object(ranking_run, song_run):
    assert loaded_objects(ranking_run.model) == loaded_objects(song_run.model) == []
