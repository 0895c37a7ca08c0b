import pytest
from pydantic import ValidationError

from tfmmrec.cli.settings import divide_settings, parse_settings
from tfmmrec.training import TrainingOptions
from tfmmrec.types import UsageError
from tfmmrec.zoo import ZOO


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dim=64", 64),
        ("dropout=0.5", 0.5),
        ("learning_rate=1e-3", 0.001),  # a string in YAML 1.1
        ("learning_rate=-2.5E+2", -250.0),
        ("fusion=late", "late"),
        ("normalize=true", True),
        ("temperature=null", None),
        ("hidden_dims=[128, 64]", [128, 64]),
        ("pretrained={picture: /models/a=b}", {"picture": "/models/a=b"}),
        (" dim = 3", 3),
        ("monitor=val_recall@20", "val_recall@20"),
    ],
)
def test_values_are_read_as_yaml(text, value):
    (found,) = parse_settings([text]).values()
    assert found == value and type(found) is type(value)


def test_several_settings():
    assert parse_settings(["dim=3", "fusion=late"]) == {"dim": 3, "fusion": "late"}
    assert parse_settings([]) == {}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["dim"], r"--set dim: expected key=value, such as --set dim=64"),
        (["=3"], r"--set =3: expected key=value"),
        (["dim=3", "dim=4"], "--set dim is given twice; leave one out"),
        (["hidden_dims=[3"], r"--set hidden_dims=\[3: the value cannot be read"),
        (["a=!!python/object/apply:os.getcwd []"], "the value cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(texts, message):
    with pytest.raises(UsageError, match=message):
        parse_settings(texts)


def test_settings_go_to_the_model_or_to_its_training():
    own, options = divide_settings(
        "two_tower", {"dim": 3, "batch_size": 7, "fusion": "late"}, {"epochs": 2, "seed": None}
    )
    assert own == {"dim": 3, "fusion": "late"}
    assert options == TrainingOptions(**(ZOO["two_tower"].training | {"batch_size": 7, "epochs": 2}))


def test_without_settings_the_zoo_decides():
    assert divide_settings("id_only", {}, {}) == ({}, TrainingOptions(**ZOO["id_only"].training))


def test_the_zoo_decides_by_the_size_of_the_catalogue():
    found = divide_settings("id_only", {"batch_size": 7}, {}, 50_000)[1]
    assert found == TrainingOptions(**(ZOO["id_only"].losses["sampled_softmax"] | {"batch_size": 7}))


def test_a_flag_that_was_given_counts_even_when_false():
    assert divide_settings("id_only", {}, {"refit": False})[1].refit is False


@pytest.mark.parametrize(
    ("model", "own", "flags", "message"),
    [
        ("two_towers", {}, {}, "model must be one of .*, got 'two_towers'"),
        (
            "two_tower",
            {"dimm": 3},
            {},
            r"no setting 'dimm'; did you mean dim\? two_tower has dim, .*; its training has epochs, ",
        ),
        ("two_tower", {"batchsize": 3}, {}, r"no setting 'batchsize'; did you mean batch_size\?"),
        ("id_only", {"content": True}, {}, "id_only has no setting 'content'"),
        ("two_tower", {"dim": "wide"}, {}, "dim='wide' does not suit two_tower"),
        ("two_tower", {"epochs": 3}, {"epochs": 4}, "epochs is given by --set and by its own flag; leave one out"),
    ],
)
def test_what_does_not_fit_is_refused(model, own, flags, message):
    with pytest.raises(UsageError, match=message):
        divide_settings(model, own, flags)


def test_an_option_out_of_range_is_named():
    with pytest.raises(ValidationError, match="batch_size"):
        divide_settings("two_tower", {"batch_size": 0}, {})
