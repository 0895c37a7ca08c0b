"""`tfmmrec prune`."""

from __future__ import annotations

import json

from tests.serving.published import make_version
from tfmmrec.cli.main import main
from tfmmrec.serving.versions import Versions


def test_old_versions_go(tmp_path, capsys):
    for number in range(1, 6):
        make_version(tmp_path / "shop" / str(number))
    shop = str(tmp_path / "shop")
    assert main(["prune", shop, "--keep", "3"]) == 0
    assert capsys.readouterr().out == f"{shop}: removed 1, 2 (0.0 MiB)\nkept 3, 4, 5; in service is 5\n"
    assert main(["rollback", shop, "--to", "3"]) == 0
    capsys.readouterr()
    assert main(["prune", shop, "--keep", "1", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["kept"], answer["removed"]) == (3, [3], [4, 5])
    assert Versions(shop).visible() == [3]


def test_that_in_service_cannot_go(tmp_path, capsys):
    make_version(tmp_path / "shop" / "1")
    assert main(["prune", str(tmp_path / "shop"), "--keep", "0"]) == 2
    assert "--keep must be at least 1" in capsys.readouterr().err
    assert main(["prune", str(tmp_path / "shop")]) == 2
    assert Versions(tmp_path / "shop").visible() == [1]
