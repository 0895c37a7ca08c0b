"""`tfmmrec rollback`."""

from __future__ import annotations

import inspect
import json

from tests.serving.published import make_version
from tfmmrec.cli.main import main
from tfmmrec.cli.serve import serve
from tfmmrec.serving import server_files


def test_back_and_forth(tmp_path, capsys):
    for number in (1, 2, 3):
        make_version(tmp_path / "shop" / str(number))
    shop = str(tmp_path / "shop")
    assert main(["rollback", shop, "--to", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{shop}: version 1 is in service; withdrawn: 2, 3"
    assert said[1].startswith("A running server follows at its next look into the folder, once the version is loaded: ")
    assert main(["rollback", shop, "--to", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["action"], answer["version"], answer["before"], answer["restored"]) == ("rollback", 3, 1, [3])
    assert main(["rollback", shop]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{shop}: version 1 is in service; withdrawn: 3"


def test_how_often_servers_look_is_told_as_it_is(tmp_path, capsys):
    for number in (1, 2):
        make_version(tmp_path / "shop" / str(number))
    assert main(["rollback", str(tmp_path / "shop")]) == 0
    said = capsys.readouterr().out
    assert "looks every second (--poll-seconds)" in said
    assert inspect.signature(serve).parameters["poll_seconds"].default == 1.0
    assert "every 10 (SERVING_POLL_SECONDS)" in said and "${SERVING_POLL_SECONDS:-10}" in server_files._COMPOSE


def test_what_there_is_not(tmp_path, capsys):
    assert main(["rollback", str(tmp_path / "shop")]) == 2
    assert "no such folder; `tfmmrec push RUN --to" in capsys.readouterr().err
    make_version(tmp_path / "shop" / "1")
    assert main(["rollback", str(tmp_path / "shop")]) == 2
    assert "there is no version older than the one in service, 1" in capsys.readouterr().err
