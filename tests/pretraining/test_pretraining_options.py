import pydantic
import pytest

from tfmmrec.model_settings import settings_of_options
from tfmmrec.pretraining import PretrainingOptions


def test_every_option_is_explained():
    settings = settings_of_options(PretrainingOptions())
    assert len(settings) == len(PretrainingOptions.model_fields) and all(setting.what for setting in settings)
    assert {setting.name: setting.default for setting in settings}["learning_rate"] == "null"


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"mask_share": 1.0}, {"batch_size": 1}, {"least_area": 0}, {"dim": 3}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(pydantic.ValidationError, match=next(iter(wrong))):
        PretrainingOptions(**wrong)
