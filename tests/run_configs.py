"""What a run says of itself, for tests that need no more of one."""

from tests.conformance.models import catalogue
from tfmmrec.run_config import RunConfig


def config(**changes) -> RunConfig:
    """A config of `id_only`, changed."""
    values = {
        "run_id": "a",
        "version": "0",
        "model": "id_only",
        "hyperparameters": {"dim": 4},
        "options": {"seed": 0, "batch_size": 16},
        "data_schema": catalogue().schema,
    }
    return RunConfig(**(values | changes))
