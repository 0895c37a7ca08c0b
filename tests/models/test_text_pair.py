import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.conformance.models import (
    HISTORY_LENGTH,
    NUM_CANDIDATES,
    NUM_QUERIES,
    ModelCase,
    catalogue,
    ready,
    statistics,
)
from tests.encoders.reusable import write_text_model
from tfmmrec.data.dataset import dataset_from_frames
from tfmmrec.models.pair_readers import StringReader, WordReader
from tfmmrec.models.text_pair import build_text_pair
from tfmmrec.search import PairScorer
from tfmmrec.training import TrainingOptions, train
from tfmmrec.types import UsageError

SMALL = {"dim": 4, "num_heads": 2, "history_titles": 2}


def build(schema=None, counted=None, **hyperparameters):
    return build_text_pair(schema or catalogue().schema, counted or statistics(), **(SMALL | hyperparameters))


def with_second_text():
    """The catalogue, whose artists are texts of candidates too."""
    schema = catalogue().schema
    features = dict(schema.candidates.features)
    features["artist"] = features["artist"].model_copy(update={"kind": "text"})
    counted = statistics().model_copy(deep=True)
    counted.candidates["artist"] = counted.candidates["title"].model_copy(
        update={"vocabulary": ["artist", "slow", "1"], "idf": [1.0, 9.0, 2.0], "max_length": 2}
    )
    candidates = schema.candidates.model_copy(update={"features": features})
    return schema.model_copy(update={"candidates": candidates}), counted


def test_parts_are_the_tokens_of_both_sides():
    made = ready(ModelCase("text_pair", "text_pair", SMALL))
    candidates, queries = made.vectors()
    vocabulary = made.model.scorer.table.vocabulary
    dataset = catalogue()

    def tokens(text):
        found = [vocabulary.index(word) + 1 if word in vocabulary else 0 for word in text.split()]
        return found

    width = made.model.scorer.candidate_length
    for row, title in enumerate(dataset.candidates.features["title"].to_pylist()):
        expected = np.zeros(width)
        expected[: len(tokens(title or ""))] = tokens(title or "")
        np.testing.assert_array_equal(candidates[row], expected)
    about = dataset.queries.features["about"].to_pylist()
    own = queries.shape[1] - 2 * width
    for row in range(NUM_QUERIES):
        newest = dataset.train.candidates_of(row)[::-1][:2]
        np.testing.assert_array_equal(queries[row, :own], tokens(about[row])[:own])
        np.testing.assert_array_equal(queries[row, own:].reshape(2, width)[: len(newest)], candidates[newest])


def test_all_texts_are_read_with_one_table_of_words():
    schema, counted = with_second_text()
    model = build(schema, counted)
    assert model.candidate_tower.fusion.order == ("title", "artist")
    assert model.query_tower.fusion.order == ("about", "history")
    table = model.scorer.table
    words = set(counted.candidates["title"].vocabulary) | set(counted.queries["about"].vocabulary)
    assert sorted(table.vocabulary) == sorted(words | {"artist", "1"})
    slow = table.vocabulary.index("slow")
    assert table.idf[slow] == counted.candidates["title"].idf[counted.candidates["title"].vocabulary.index("slow")]
    for encoder in (*model.candidate_tower.encoders.values(), model.query_tower.encoders["about"]):
        assert encoder.table is table
    assert model.build_towers() == 3 + 2
    assert (model.scorer.query_length, model.scorer.candidate_length) == (2 + 2 * 5, 5)
    reversed_texts = build(schema, counted, texts=("artist", "title"))
    assert reversed_texts.candidate_tower.fusion.order == ("artist", "title")
    assert build(schema, counted, texts=("artist",)).build_towers() == 2


def test_numbers_arrive():
    numbers = {"num_negatives": 3, "num_drawn": 20, "dropout": 0.25, "num_layers": 2, "hidden_dims": (7,)}
    model = build(**numbers, loss="softmax", history_dropout=0.5, max_words=2, history_titles=99)
    assert (model.num_negatives, model.negative_sampler.num_negatives, model.pairs_at_once) == (3, 20, None)
    network = model.scorer.network
    assert isinstance(model.scorer, WordReader)
    assert (network.hidden_dims, network.dropout, network.use_bias, model.scorer.num_layers) == ((7,), 0.25, False, 2)
    history = model.query_tower.encoders["history"]
    assert (history.length, history.num_texts, history.dropout) == (HISTORY_LENGTH, HISTORY_LENGTH, 0.5)
    assert model.build_towers() == 2


def test_queries_may_have_a_text_and_no_history():
    schema = catalogue().schema
    bare = schema.model_copy(update={"queries": schema.queries.model_copy(update={"history": None})})
    model = build(bare)
    model.build_towers()
    assert list(model.query_tower.encoders) == ["about"] and model.history_table is None


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return write_text_model(tmp_path_factory.mktemp("reusable") / "text", dim=4)


def pretrained_case(handle, **own):
    own = {"pretrained": {"title": handle}, "max_characters": 24, "history_titles": 2, "num_drawn": 8} | own
    return ModelCase("text_pair pretrained", "text_pair", own)


def test_a_pretrained_encoder_reads_the_pairs_and_is_trained(handle):
    made = ready(pretrained_case(handle))
    assert isinstance(made.model.scorer, StringReader) and made.model.pairs_at_once == 256
    table = made.model.scorer.encoder.module.trainable_variables[0]
    before = table.numpy()
    losses = made.fit(20)
    assert np.isfinite(losses).all() and not np.array_equal(table.numpy(), before)
    candidates, queries = made.vectors()
    rows = np.random.default_rng(0).integers(0, [[NUM_QUERIES], [NUM_CANDIDATES]], (2, 300))
    title, about = catalogue().candidates.features["title"].to_pylist(), catalogue().queries.features["about"]
    texts = []
    for query, candidate in rows.T:
        newest = catalogue().train.candidates_of(query)[::-1][:2]
        parts = [about[int(query)].as_py(), *(title[row] for row in newest)]
        text = (f"{title[candidate][:24]}. " if title[candidate] else "") + "[SEP] "
        texts.append((text + "".join(f"{part[:24]}. " for part in parts if part)).strip())
    vectors = table.numpy()[tf.strings.to_hash_bucket_fast(texts, len(before)).numpy()]
    last = made.model.scorer.network.output_layer
    expected = vectors @ last.kernel.numpy()[:, 0] + last.bias.numpy()
    np.testing.assert_allclose(PairScorer(made.model, queries, candidates).pairs(*rows), expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_encoder_keeps_its_weights(handle):
    made = ready(pretrained_case(handle, pretrained_mode="frozen"))
    before = [variable.numpy() for variable in made.model.scorer.encoder.module.variables]
    made.fit(3)
    assert not made.model.scorer.encoder.trainable_variables
    for variable, value in zip(made.model.scorer.encoder.module.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_two_replicas_train_a_pretrained_encoder_as_one_does(handle, replicas):
    found = []
    for strategy in (None, replicas(2)):
        made = ready(pretrained_case(handle), lambda: tf.keras.optimizers.SGD(0.2), strategy)
        losses = made.fit(3)
        candidates, queries = made.vectors()
        scores = PairScorer(made.model, queries, candidates)(np.arange(4))
        found.append((losses, [variable.numpy() for variable in made.model.trainable_variables] + [scores]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("of", ["words", "strings"])
def test_pairs_are_scored_in_a_graph_that_is_saved_and_loaded(of, handle, tmp_path):
    made = ready(pretrained_case(handle) if of == "strings" else ModelCase("text_pair", "text_pair", SMALL))
    made.fit(1)
    candidates, queries = made.vectors()
    module = tf.Module()
    module.model = made.model
    specs = [tf.TensorSpec([None, side.shape[1]], tf.float32) for side in (queries, candidates)]
    module.score = tf.function(lambda q, c: {"scores": made.model.score_pairs(q, c)}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"score": module.score})
    signature = tf.saved_model.load(str(tmp_path / "saved")).signatures["score"]
    found = signature(q=tf.constant(queries), c=tf.constant(candidates[:NUM_QUERIES]))["scores"]
    expected = made.model.score_pairs(queries, candidates[:NUM_QUERIES])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def colours():
    """Things of eight colours; a query chooses things of one colour. A third of the things stand in no interaction."""
    random = np.random.default_rng(0)
    names = "red green blue white black brown pink grey".split()
    things = "dress hat shoe coat sock belt skirt scarf glove".split()
    titles = [f"{colour} {thing}" for colour in names for thing in things]
    colour = np.arange(len(titles)) // len(things)
    cold = np.arange(len(titles)) % len(things) >= 6
    log = [
        (f"q{query}", f"c{row}")
        for query in range(80)
        for row in random.permutation(np.flatnonzero(~cold & (colour == query % len(names))))[:5]
    ]
    schema = {
        "interactions": {"query": "query", "candidate": "candidate", "split": {"method": "leave_one_out"}},
        "candidates": {"id": "id", "features": {"title": {"kind": "text"}}},
        "queries": {"id": "id", "history": {"length": 4}},
    }
    candidates = pd.DataFrame({"id": [f"c{i}" for i in range(len(titles))], "title": titles})
    return dataset_from_frames(schema, pd.DataFrame(log, columns=["query", "candidate"]), candidates), colour, cold


def test_words_in_common_with_the_history_are_learned(tmp_path):
    dataset, colour, cold = colours()
    options = TrainingOptions(epochs=25, batch_size=40, learning_rate=5e-3, validate_every=25, refit=False)
    run = train(dataset, tmp_path / "run", "text_pair", {"dim": 16, "num_drawn": 32}, options, progress=False)
    embedder = run.embedder(dataset)
    candidates = embedder.candidates()
    rows = np.arange(len(dataset.queries))
    scores = PairScorer(run.model, embedder.queries(rows, candidates, dataset.train), candidates)(rows)
    # of things that nobody has chosen, those of the query's colour come before the others
    own = np.array([int(dataset.queries.ids[int(row)].as_py()[1:]) % 8 for row in rows])
    wanted = colour[None] == own[:, None]  # [num_queries, num_candidates]
    pairs = [np.mean(s[w & cold][:, None] > s[~w & cold][None]) for s, w in zip(scores, wanted, strict=True)]
    assert np.mean(pairs) > 0.9  # chance is one half


def test_what_it_refuses(handle):
    schema = catalogue().schema
    others = {name: part for name, part in schema.candidates.features.items() if name != "title"}
    textless = schema.model_copy(update={"candidates": schema.candidates.model_copy(update={"features": others})})
    with pytest.raises(UsageError, match="text_pair reads texts of candidates, and this dataset has none: describe a"):
        build(textless)
    silent = schema.model_copy(update={"queries": schema.queries.model_copy(update={"history": None, "features": {}})})
    with pytest.raises(UsageError, match="history and of its own text features, this dataset has neither; describe"):
        build(silent)
    with pytest.raises(UsageError, match="'photo' is no text feature of candidates; there are title"):
        build(texts=("photo",))
    with pytest.raises(UsageError, match="'plot' is no text feature of candidates; there are title"):
        build(pretrained={"plot": handle})
    with pytest.raises(UsageError, match="texts name each feature once, got title, title"):
        build(texts=("title", "title"))
    with pytest.raises(UsageError, match="one encoder reads the whole pair, but pretrained names a and b"):
        build(*with_second_text(), pretrained={"title": "a", "artist": "b"})
    with pytest.raises(UsageError, match="cannot be cached: set pretrained_mode to finetuned or frozen"):
        build(pretrained={"title": handle}, pretrained_mode="cached")
