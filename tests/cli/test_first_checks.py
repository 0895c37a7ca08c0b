"""What is refused before TensorFlow is imported."""

from __future__ import annotations

import json

import pytest

from tests.run_configs import config
from tfmmrec.cli.first_checks import check_run
from tfmmrec.cli.main import COMMANDS
from tfmmrec.run_config import write_config
from tfmmrec.types import DataError

# What goes wrong, what is said of it. EMPTY is a folder with nothing in it, FINISHED a finished run's.
REFUSED = (
    ("train nowhere --run new", "nowhere: expected a dataset's folder, but it does not exist"),
    ("train EMPTY --run new", "EMPTY/dataset.yaml: no such file"),
    ("train EMPTY --run new --set dim", "--set dim: expected key=value"),
    ("train EMPTY --run new --worker-index 1", "--workers and --worker-index go together"),
    ("evaluate nowhere", "nowhere: expected a run folder with config.json, found none"),
    ("evaluate FINISHED --k many", "--k must be whole numbers separated by commas"),
    ("export nowhere", "nowhere: expected a run folder with config.json, found none"),
    ("export FINISHED --retriever EMPTY", "EMPTY: expected a run folder with config.json, found none"),
    ("export FINISHED --dataset nowhere", "nowhere: expected a dataset's folder, but it does not exist"),
    ("push EMPTY --to models/a", "EMPTY: expected a run folder with config.json, found none"),
    ("push FINISHED --to models/a --min-recall 2", "min_recall"),
    ("index nowhere", "nowhere: no such folder; `tfmmrec export RUN` writes a model"),
    ("query nowhere", "nothing is asked; give --query-id"),
    ("query nowhere --text red", "nowhere: no such folder; `tfmmrec export RUN` writes a model"),
    ("query FINISHED --text red", "FINISHED: is the folder of a run; export it with"),
    ("embed nowhere --encoder a", "nowhere: expected a dataset's folder, but it does not exist"),
    ("pretrain nowhere --encoder small --to a", "nowhere: expected a dataset's folder, but it does not exist"),
    ("pretrain nowhere --encoder a= --to a", "--encoder a=: expected FEATURE=DIR"),
    ("demo --catalogue cars", "--catalogue must be fashion or songs, got 'cars'"),
    ("serve nowhere", "nowhere: no such folder; `tfmmrec push RUN --to nowhere` makes"),
)


@pytest.fixture
def run(tmp_path):
    write_config(tmp_path / "run", config(finished=True))
    return tmp_path / "run"


def test_what_is_wrong_is_refused_without_tensorflow(run, tmp_path, run_python):
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": str(tmp_path / "empty"), "FINISHED": str(run)}

    def placed(text: str) -> str:
        for name, place in places.items():
            text = text.replace(name, place)
        return text

    lines = [placed(command).split() for command, _ in REFUSED]
    code = "\n".join(
        (
            "import json, sys",
            "from tfmmrec.cli.main import main",
            f"for line in json.loads({json.dumps(json.dumps(lines))}):",
            "    code = main(line)",
            "    print(code, 'tensorflow' in sys.modules, flush=True)",
        )
    )
    done = run_python(code)
    assert done.stdout.splitlines() == ["2 False"] * len(lines), done.stderr
    for _, message in REFUSED:
        assert placed(message) in done.stderr


def test_what_a_run_is_checked_for(run, tmp_path):
    check_run(run, retriever=run)
    with pytest.raises(DataError, match="nowhere: expected a run folder"):
        check_run(run, retriever=tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"run/dataset.yaml: no such file"):
        check_run(run, dataset=run)


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"import", "inspect", "rollback", "prune", "encoder"}))
def test_a_command_that_needs_tensorflow_imports_it_quietly(name):
    module = __import__(f"tfmmrec.cli.{name}", fromlist=["import_tensorflow"])
    with open(module.__file__, encoding="utf-8") as file:
        assert "    import_tensorflow()\n" in file.read()
