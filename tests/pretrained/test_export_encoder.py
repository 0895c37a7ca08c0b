"""tests/pretrained/test_checkpoint_halves.py has what it writes, tests/pretrained/test_run_export.py how it reports."""


def test_keras_2_and_keras_3_do_not_meet(run_python):
    done = run_python("import tfmmrec, tensorflow\nimport tfmmrec.pretrained.export_encoder")
    assert done.returncode == 1
    assert "needs Keras 3 and a process of its own, but TensorFlow was imported with Keras 2 here" in done.stderr
    assert "call tfmmrec.pretrained.run_export, which starts one" in done.stderr


def test_it_runs_with_keras_3_alone(run_python):
    code = "import sys, tfmmrec.pretrained.export_encoder, tensorflow as tf\n"
    done = run_python(code + "print(tf.keras.__version__, 'tf_keras' in sys.modules)", TF_USE_LEGACY_KERAS="1")
    assert done.stdout.startswith("3.") and done.stdout.endswith(" False\n"), done.stdout + done.stderr
