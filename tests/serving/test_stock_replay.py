"""`test_blessing` and `test_replay` run the script; here is what it leaves out."""

from __future__ import annotations

from tests.architecture.sources import PACKAGE, imported_modules

SCRIPT = PACKAGE / "serving" / "stock_replay.py"


def test_it_imports_nothing_of_this_package():
    names = {name.split(".")[0] for name in imported_modules(SCRIPT)}
    stock = {"tensorflow", "tensorflow_text", "tensorflow_serving"}
    assert names == {"__future__", "json", "os", "pickle", "sys", *stock, "scann"}
