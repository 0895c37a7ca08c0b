import re

import pytest
from pydantic import ValidationError

import tfmmrec
from tfmmrec.training_options import TrainingOptions, check_monitor, options_of
from tfmmrec.types import UsageError
from tfmmrec.zoo import ZOO


def test_they_come_back_from_a_record():
    options = TrainingOptions(epochs=3, clip_norm=0.5, mixed_precision="float16", refit=False)
    assert TrainingOptions(**options.model_dump()) == options
    assert TrainingOptions.model_validate_json(options.model_dump_json()) == options


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("clip_norm", 0.0),
        ("seed", -1),
        ("strategy", "horovod"),
        ("mixed_precision", "float8"),
        ("patience", 0),
        ("validate_every", 0),
        ("validation_share", 0.0),
        ("validation_share", 1.0),
        ("image_steps", -1),
        ("refresh_steps", 0),
        ("mine_every", 0),
        ("save_seconds", -1.0),
        ("decay_steps", 0),
        ("epochs", 1.5),
        ("epoch", 3),
    ],
)
def test_what_cannot_be_is_refused_by_name(option, value):
    with pytest.raises(ValidationError, match=option):
        TrainingOptions(**{option: value})


def test_every_option_is_explained():
    for option in TrainingOptions.model_fields:
        assert re.search(rf"^        {option}: ", TrainingOptions.__doc__, re.MULTILINE), option


def test_what_is_given_by_name_changes_the_zoo_s_options_and_no_others():
    assert options_of("two_tower", {}) == TrainingOptions(**ZOO["two_tower"].training)
    assert options_of("two_tower", {}, {"epochs": 1}) == TrainingOptions(**(ZOO["two_tower"].training | {"epochs": 1}))
    of_bpr = ZOO["two_tower"].training_of({"loss": "bpr"})
    assert of_bpr != ZOO["two_tower"].training
    assert options_of("two_tower", {"loss": "bpr"}, {"seed": 3}) == TrainingOptions(**(of_bpr | {"seed": 3}))
    whole = tfmmrec.TrainingOptions(epochs=2)
    assert options_of("two_tower", {}, whole) is whole


def test_a_metric_that_no_validation_has_is_refused_unless_a_callback_may_bring_it():
    check_monitor("val_recall@20")
    with pytest.raises(UsageError, match="monitor must be one of val_recall@20, .*, got 'val_foo'"):
        check_monitor("val_foo")
    check_monitor("val_foo", [object()])
