"""TensorFlow keeps quiet for the command line, and only there, and only if nobody asks for its log."""

from __future__ import annotations

import os

import pytest

from tfmmrec.cli.quiet import _standard_error_held

# Everything below would be talkative: devices, a compiled function, fitting.
WORK = (
    "import tfmmrec\n"
    "from tfmmrec.cli.quiet import import_tensorflow\n"
    "import_tensorflow()\n"
    "import tensorflow as tf, tensorflow_hub, tensorflow_recommenders\n"
    "model = tf.keras.Sequential([tf.keras.layers.Dense(2)])\n"
    "model.compile('adam', 'mse')\n"
    "model.fit(tf.ones([4, 3]), tf.ones([4, 2]), verbose=0)\n"
    "tf.get_logger().warning('of a tf.function that is traced often')\n"
)


@pytest.mark.parametrize("level", [None, "2"])
def test_tensorflow_at_work_writes_nothing(level, run_python):
    done = run_python(WORK, TF_CPP_MIN_LOG_LEVEL=level)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_whoever_sets_the_log_level_gets_the_log(run_python):
    done = run_python(WORK, TF_CPP_MIN_LOG_LEVEL="0")
    assert done.returncode == 0 and "cpu_feature_guard" in done.stderr


def test_what_was_held_is_lost_unless_something_fails(capfd):
    with _standard_error_held():
        os.write(2, b"chatter\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    with pytest.raises(ImportError), _standard_error_held():
        os.write(2, b"the reason\n")
        raise ImportError
    assert capfd.readouterr().err == "the reason\n"


def test_the_first_session_writes_nothing(run_python):
    code = "from tfmmrec.cli.quiet import import_tensorflow, open_session_quietly\n"
    done = run_python(f"import tfmmrec\n{code}import_tensorflow()\nopen_session_quietly()", TF_CPP_MIN_LOG_LEVEL=None)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
