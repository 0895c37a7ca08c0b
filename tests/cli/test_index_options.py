"""The options of an index, which every command that exports takes alike."""

from __future__ import annotations

import sys

import pytest

from tests.run_configs import config
from tfmmrec.cli.main import main
from tfmmrec.run_config import write_config
from tfmmrec.search.index_settings import IndexSettings

CHOSEN = ["--index", "ivf", "--index-cells", "9", "--index-probes", "3", "--index-dtype", "float32"]


@pytest.mark.parametrize(
    ("command", "module", "function"),
    [("export", "tfmmrec.serving.export", "export_run"), ("push", "tfmmrec.serving.push", "push_run")],
)
def test_what_is_chosen_arrives(command, module, function, tmp_path, monkeypatch, capsys):
    settings = []

    def told(*arguments, index, **others):
        settings.append(index)
        raise OSError("and no more")

    __import__(module)
    monkeypatch.setattr(sys.modules[module], function, told)
    write_config(tmp_path / "first", config(finished=True))
    given = [command, str(tmp_path / "first"), "--to", "models/shop"]
    assert main([*given, *CHOSEN, "--index-recall", "0.9"]) == 1
    assert main(given) == 1
    assert settings == [IndexSettings("ivf", 9, 3, "float32", 0.9), IndexSettings()]
    assert main([*given, "--index-cells", "0"]) == 2
    assert main([*given, "--index", "exact", "--index-cells", "9"]) == 2
    assert "an exact index has no cells" in capsys.readouterr().err and len(settings) == 2
