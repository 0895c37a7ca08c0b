"""Names that are imported when first used."""

from __future__ import annotations

import importlib
import sys

import pytest

from tfmmrec._lazy import attach


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on disk with a lazy name, a plain module, and a module whose own import fails."""
    folder = tmp_path / "garage"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from tfmmrec._lazy import attach\n"
        "__getattr__, __dir__, __all__ = attach(__name__, {'Wheel': 'wheel', 'Axle': 'wheel', 'horn': 'horn'})\n"
    )
    (folder / "horn.py").write_text("def horn(): return 'beep'\n")
    (folder / "wheel.py").write_text("class Wheel: pass\nclass Axle: pass\n")
    (folder / "broken.py").write_text("import a_library_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    import garage

    yield garage
    for name in [name for name in sys.modules if name.split(".")[0] == "garage"]:
        del sys.modules[name]


def test_a_module_is_imported_when_its_name_is_used(package):
    assert "garage.wheel" not in sys.modules
    assert package.Wheel.__name__ == "Wheel"
    assert "garage.wheel" in sys.modules


def test_a_module_can_be_reached_as_an_attribute(package):
    assert package.wheel.Axle is package.Axle


def test_a_function_is_not_hidden_by_the_module_of_its_name(package):
    importlib.import_module("garage.horn")  # binds the module in the package

    assert package.horn() == "beep"
    assert package.horn() == "beep"
    from garage.horn import horn

    assert package.horn is horn
    assert sys.modules["garage.horn"].horn is horn


def test_unknown_names_are_attribute_errors(package):
    with pytest.raises(AttributeError, match="module 'garage' has no attribute 'Engine'"):
        package.Engine  # noqa: B018
    assert not hasattr(package, "__wrapped__")


def test_a_missing_library_is_not_taken_for_a_missing_name(package):
    with pytest.raises(ModuleNotFoundError, match="a_library_that_nobody_has"):
        package.broken  # noqa: B018


def test_dir_and_all_are_sorted():
    _, listed, names = attach("garage", {"Wheel": "wheel", "Axle": "wheel"})
    assert listed() == names == ["Axle", "Wheel"]
