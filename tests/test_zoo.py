import dataclasses

import pytest

from tfmmrec.models.loss_choice import FULL_SOFTMAX_LIMIT
from tfmmrec.training_options import TrainingOptions
from tfmmrec.types import UsageError
from tfmmrec.zoo import ZOO, ZooEntry, check_hyperparameters


@pytest.mark.parametrize("name", ZOO)
def test_an_entry_says_what_it_is(name):
    entry = ZOO[name]
    assert entry.kind in ("retrieval", "ranking")
    assert all(getattr(entry, text) for text in ("paper", "needs", "when"))
    TrainingOptions(**entry.training)  # which exist


@pytest.mark.parametrize("name", ZOO)
def test_what_an_entry_is_made_by_cannot_be_set(name):
    fixed = getattr(ZOO[name].build, "keywords", {})
    assert "dim" in ZOO[name].hyperparameters and not set(fixed) & set(ZOO[name].hyperparameters)
    for fixed_name in fixed:
        with pytest.raises(UsageError, match=f"{name} has no setting {fixed_name!r}"):
            check_hyperparameters(name, {fixed_name: True})


def test_hyperparameters_have_their_types():
    def build(schema, statistics, *, width: int, rate: float = 0.5): ...

    assert ZooEntry(build, "retrieval", "p", "n", "w").hyperparameters == {"width": int, "rate": float}


def test_an_entry_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ZOO["two_tower"].paper = "mine"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dim": 64, "dropout": 0, "fusion": "late", "temperature": None},
        {"hidden_dims": [128, 64]},  # as JSON and YAML have it
        {"hidden_dims": (128, 64), "temperature": 0.5, "normalize": True},
    ],
)
def test_what_fits_is_let_through(given):
    check_hyperparameters("two_tower", given)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (
            "two_towers",
            {},
            r"must be one of bm3, content_only, .*two_tower, .*got 'two_towers'; did you mean two_tower\?",
        ),
        ("two_tower", {"dimm": 3}, r"two_tower has no setting 'dimm'; did you mean dim\? two_tower has dim, "),
        ("two_tower", {"zzz": 3}, "two_tower has no setting 'zzz'. two_tower has dim, "),
        ("two_tower", {"linear_l2": 3}, r"'linear_l2'; models that have it: linear_blend\. two_tower has dim"),
        ("two_tower", {"num_layer": 3}, r"did you mean num_layers of [a-z0-9_, ]+\? two_tower has dim, "),
        ("two_tower", {"epochs": 3}, "two_tower has no setting 'epochs'"),
        ("two_tower", {"dim": "wide"}, "dim='wide' does not suit two_tower: input should be a valid integer"),
        ("two_tower", {"dim": 1.5}, "dim=1.5 does not suit two_tower: input should be a valid integer"),
        ("two_tower", {"hidden_dims": 128}, "hidden_dims=128 does not suit two_tower: input should be a valid tuple"),
        ("two_tower", {"alignment": "conversion"}, r"valid tuple; a list is written \[conversion\]"),
        ("two_tower", {"dropout": None}, "dropout=None does not suit two_tower: input should be a valid number"),
    ],
)
def test_what_does_not_fit_is_refused(model, given, message):
    with pytest.raises(UsageError, match=message):
        check_hyperparameters(model, given)


def test_options_of_the_training_are_offered_too():
    with pytest.raises(UsageError, match=r"'epoch'; did you mean epochs\? .*; its training has epochs, seed"):
        check_hyperparameters("two_tower", {"epoch": 3}, options=["epochs", "seed"])


def test_training_options_suit_the_loss():
    entry = ZOO["two_tower"]
    assert entry.training_of({"dim": 8}) == entry.training_of({"loss": "multinomial"}) == entry.training
    of_interactions = entry.training_of({"loss": "bpr"})  # many more steps an epoch: smaller ones
    assert of_interactions["learning_rate"] < entry.training["learning_rate"]
    assert of_interactions == ZOO["vbpr"].training_of({}) != ZOO["vbpr"].training_of({"loss": "auto"})


def test_training_options_follow_auto_beyond_the_full_softmax():
    """Where it is the sampled softmax, whose rows are interactions."""
    many = FULL_SOFTMAX_LIMIT + 1
    for name in ("two_tower", "id_only", "content_only", "history_only"):
        entry = ZOO[name]
        assert entry.training_of({}, many) == entry.training_of({"loss": "sampled_softmax"}) != entry.training
        assert entry.training_of({}, many) == entry.training_of({"loss": "auto"}, many)
        assert entry.training_of({}, FULL_SOFTMAX_LIMIT) == entry.training == entry.training_of({})
        assert entry.training_of({"loss": "multinomial"}, many) == entry.training
    assert ZOO["vbpr"].training_of({"loss": "auto"}, many) == ZOO["vbpr"].training == ZOO["vbpr"].training_of({}, many)
    assert ZOO["mult_dae"].training_of({}, many) == ZOO["mult_dae"].training


@pytest.mark.parametrize("name", ZOO)
def test_options_by_loss_exist(name):
    for options in ZOO[name].losses.values():
        TrainingOptions(**options)
