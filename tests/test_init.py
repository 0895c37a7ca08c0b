"""`import tfmmrec`: cheap, silent, and it makes `tf.keras` Keras 2 or says why it cannot."""

from __future__ import annotations

import time

import pytest

import tfmmrec

FLAG = "TF_USE_LEGACY_KERAS"


def test_import_takes_less_than_a_third_of_a_second(run_python):
    def seconds(code: str) -> float:
        start = time.perf_counter()
        run_python(code)
        return time.perf_counter() - start

    assert min(seconds("import tfmmrec") for _ in range(5)) <= 0.3


def test_import_leaves_tensorflow_and_every_logger_alone(run_python):
    done = run_python(
        "import logging, os, sys, warnings\n"
        "before = dict(os.environ), list(warnings.filters), dict(logging.root.manager.loggerDict)\n"
        "import tfmmrec\n"
        "assert 'tensorflow' not in sys.modules\n"
        "after = dict(os.environ), list(warnings.filters), dict(logging.root.manager.loggerDict)\n"
        f"assert after[0].pop({FLAG!r}) == '1' and after == before",
        TF_USE_LEGACY_KERAS=None,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("first", "value"), [("tfmmrec", None), ("tfmmrec", ""), ("tensorflow", "True")])
def test_keras_is_keras_2(run_python, first, value):
    code = f"import {first}\nimport tfmmrec, tensorflow as tf\nprint(tf.keras.layers.Layer.__module__)"
    assert run_python(code, TF_USE_LEGACY_KERAS=value).stdout.startswith("tf_keras.")


def test_tensorflow_with_keras_3_is_refused_with_what_to_do(run_python):
    # The flag set between the two imports comes too late: half of TensorFlow has taken Keras 3 already.
    code = f"import os, tensorflow\nos.environ[{FLAG!r}] = '1'\nimport tfmmrec"
    done = run_python(code, TF_USE_LEGACY_KERAS=None)
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert "tfmmrec needs Keras 2 (tf_keras), but TensorFlow was imported before it, with Keras 3." in error
    assert "import tfmmrec before tensorflow" in error
    assert "in Colab: Runtime > Restart session" in error
    assert "os.environ['TF_USE_LEGACY_KERAS'] = '1'" in error


def test_an_environment_that_asks_for_keras_3_is_refused(run_python):
    done = run_python("import tfmmrec", TF_USE_LEGACY_KERAS="0")
    assert done.returncode == 1
    assert "TF_USE_LEGACY_KERAS is '0', which asks for Keras 3. Unset it, or set" in done.stderr


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tfmmrec' has no attribute 'recommend_me'"):
        tfmmrec.recommend_me  # noqa: B018


def test_dir_lists_the_public_names():
    assert dir(tfmmrec) == tfmmrec.__all__
    assert {"Schema", "TwoTower", "evaluate", "load_dataset", "train"} <= set(dir(tfmmrec))
