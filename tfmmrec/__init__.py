"""tfmmrec: multimodal two-tower recommenders that TensorFlow Serving can serve.

Importing it costs next to nothing: TensorFlow is imported by the first name that needs it. tfmmrec must come
before TensorFlow, or TF_USE_LEGACY_KERAS=1 must be in the environment, because TensorFlow decides at its
first import whether `tf.keras` is Keras 2 (`tf_keras`, which TensorFlow Recommenders is written for) or
Keras 3.
"""

from __future__ import annotations

import os
import sys

from tfmmrec._lazy import attach

__version__ = "0.1.0"

_FLAG = "TF_USE_LEGACY_KERAS"


def _choose_keras_2() -> None:
    """Sets the flag that makes `tf.keras` Keras 2.

    Raises:
        ImportError: TensorFlow was imported with Keras 3 already, or the environment asks for Keras 3.
    """
    on = ("1", "true", "True")  # the values TensorFlow takes for yes
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        # TensorFlow notes what the flag was when it was imported; changed later, it would mix two Kerases.
        if not getattr(tensorflow, "_tf_uses_legacy_keras", os.environ.get(_FLAG) in on):
            raise ImportError(
                "tfmmrec needs Keras 2 (tf_keras), but TensorFlow was imported before it, with Keras 3. "
                "Restart the Python process (in Colab: Runtime > Restart session) and either import tfmmrec "
                f"before tensorflow, or set {_FLAG}=1 before tensorflow is imported: "
                f"os.environ[{_FLAG!r}] = '1'."
            )
    elif (value := os.environ.get(_FLAG, "")) not in ("", *on):
        raise ImportError(
            f"tfmmrec needs Keras 2 (tf_keras), but the environment variable {_FLAG} is {value!r}, which "
            f"asks for Keras 3. Unset it, or set {_FLAG}=1."
        )
    os.environ[_FLAG] = "1"


_choose_keras_2()

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "DataError": "types",
        "Dataset": "data.dataset",
        "Schema": "schema",
        "Tower": "towers",
        "TrainingOptions": "training_options",
        "TwoTower": "models.two_tower",
        "UsageError": "types",
        "ZOO": "zoo",
        "dataset_from_frames": "data.dataset",
        "evaluate": "evaluation",
        "evaluate_run": "run_evaluation",
        "export_run": "serving.export",
        "load_dataset": "data.dataset",
        "load_run": "runs",
        "predict_ratings": "task_evaluation",
        "train": "training",
    },
)
