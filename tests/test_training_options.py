import re

import pytest
from pydantic import ValidationError

from tfmmrec.training_options import TrainingOptions


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
        ("strategy", "tpu"),
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
