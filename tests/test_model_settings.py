import inspect

import pytest

from tfmmrec.model_settings import described, settings_of
from tfmmrec.training_options import TrainingOptions
from tfmmrec.zoo import ZOO


@pytest.mark.parametrize("model", ZOO)
def test_every_setting_of_every_model_is_explained(model):
    settings = settings_of(model)
    assert [s.name for s in settings] == [*ZOO[model].hyperparameters, *TrainingOptions.model_fields]
    assert not [s.name for s in settings if not s.what]


def test_the_defaults_are_those_of_the_builder_and_of_the_zoo():
    of_two_tower, of_blend = ({s.name: s for s in settings_of(name)} for name in ("two_tower", "linear_blend"))
    build = inspect.signature(ZOO["two_tower"].build).parameters
    assert of_two_tower["dim"].default == str(build["dim"].default)
    assert (of_two_tower["hidden_dims"].default, of_two_tower["query_id"].default) == ("[]", "null")
    assert of_two_tower["content"].default == "true"
    assert of_two_tower["learning_rate"].default == str(ZOO["two_tower"].training["learning_rate"])
    # its own words where it has them, those of what it inherits from where it has none
    assert of_blend["loss"].what == "multinomial or full_softmax."
    assert of_blend["dim"].what == of_two_tower["dim"].what


def test_a_meaning_may_have_several_lines():
    def part(first, second, **others):
        """Does something.

        Args:
            first: one line,
                and another: with a colon.
            second: short.
            **others: of something else,
                which are none of its own.

        Raises:
            UsageError: never.
        """

    assert described(part, "Args") == {"first": "one line, and another: with a colon.", "second": "short."}
    assert described(part, "Attributes") == {}
