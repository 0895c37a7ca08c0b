"""`tfmmrec rollback`."""

from __future__ import annotations

import json

from tests.serving.published import make_version
from tfmmrec.cli.main import main


def test_back_and_forth(tmp_path, capsys):
    for number in (1, 2, 3):
        make_version(tmp_path / "shop" / str(number))
    shop = str(tmp_path / "shop")
    assert main(["rollback", shop, "--to", "1"]) == 0
    assert capsys.readouterr().out == f"{shop}: version 1 is in service; withdrawn: 2, 3\n"
    assert main(["rollback", shop, "--to", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["action"], answer["version"], answer["before"], answer["restored"]) == ("rollback", 3, 1, [3])
    assert main(["rollback", shop]) == 0
    assert capsys.readouterr().out == f"{shop}: version 1 is in service; withdrawn: 3\n"


def test_what_there_is_not(tmp_path, capsys):
    assert main(["rollback", str(tmp_path / "shop")]) == 2
    assert "no such folder; `tfmmrec push RUN --to" in capsys.readouterr().err
    make_version(tmp_path / "shop" / "1")
    assert main(["rollback", str(tmp_path / "shop")]) == 2
    assert "there is no version older than the one in service, 1" in capsys.readouterr().err
