"""`tfmmrec inspect`."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tfmmrec.cli.main import main


@pytest.fixture
def shop(tmp_path):
    """Four garments, one without a picture and one with a broken one, chosen by three customers."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8), "red").save(folder / name)
    (folder / "c.png").write_bytes(b"no picture at all")
    rows = [
        ("A", "red dress", "a.png"),
        ("B", "blue coat", "b.png"),
        ("C", "green scarf", "c.png"),
        ("D", "hat", ""),
    ]
    (folder / "items.csv").write_text("item_id,title,photo\n" + "".join(f"{','.join(row)}\n" for row in rows))
    choices = [(query, item) for query in ("u1", "u2", "u3") for item in "ABCD"]
    (folder / "log.csv").write_text("user_id,item_id\n" + "".join(f"{q},{c}\n" for q, c in choices))
    return folder


@pytest.fixture
def described(shop):
    (shop / "dataset.yaml").write_text(
        "interactions: {path: log.csv, split: {method: leave_one_out}, query: user_id, candidate: item_id}\n"
        "candidates:\n"
        "  path: items.csv\n"
        "  id: item_id\n"
        "  features: {title: {kind: text}, photo: {kind: image}}\n"
    )
    return shop


def test_what_is_there_is_shown(described, capsys):
    assert main(["inspect", str(described)]) == 0
    shown = capsys.readouterr().out
    assert "candidates: 4 from items.csv" in shown
    assert "red dress" in shown
    assert "c.png" in shown, "the broken picture is named"
    assert "dataset.yaml" not in shown, "a folder that explains itself needs no proposal"


def test_json_holds_the_counts(described, capsys):
    assert main(["inspect", str(described), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["candidates"]["num_rows"] == 4
    assert answer["candidates"]["features"]["photo"]["num_missing"] == 1
    assert sum(answer["candidates"]["features"]["photo"]["unusable"].values()) == 1
    assert sum(part["num_rows"] for part in answer["parts"].values()) == 12


def test_a_proposal_is_shown_and_nothing_is_written_unasked(shop, capsys):
    before = sorted(shop.iterdir())
    assert main(["inspect", str(shop)]) == 0
    shown = capsys.readouterr().out
    assert "path: items.csv" in shown and "--write FILE saves it" in shown
    assert sorted(shop.iterdir()) == before


def test_write_saves_a_proposal_that_works(shop, capsys):
    path = shop / "dataset.yaml"
    assert main(["inspect", str(shop), "--write", str(path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["written"] == str(path) and answer["proposal"] == path.read_text()
    assert main(["inspect", str(shop), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["proposal"] is None


def test_no_file_is_overwritten(described, capsys):
    path = described / "dataset.yaml"
    before = path.read_text()
    assert main(["inspect", str(described), "--write", str(path)]) == 2
    assert "the file exists and is not overwritten; name another" in capsys.readouterr().err
    assert path.read_text() == before


def test_the_folder_of_write_must_exist(described, capsys):
    assert main(["inspect", str(described), "--write", str(described / "nowhere" / "dataset.yaml")]) == 2
    assert "make it first" in capsys.readouterr().err


def test_a_folder_that_does_not_exist(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nothing")]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "does not exist" in shown.err


def test_a_feature_of_which_nothing_can_be_read(tmp_path, capsys):
    (tmp_path / "log.csv").write_text("user_id,item_id\n" + "".join(f"u{n % 7},i{n % 5}\n" for n in range(35)))
    (tmp_path / "items.csv").write_text("item_id,picture\n" + "".join(f"i{n},{n}.jpg\n" for n in range(4)) + "i4,\n")
    for n in range(4):
        (tmp_path / f"{n}.jpg").write_text("words")
    assert main(["inspect", str(tmp_path), "--json"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out)["candidates"]["features"]["picture"]["unusable"] == {"not a picture": 4}
    message = "candidates, picture: none of 4 files can be read (4 not a picture); correct the feature's column"
    assert message in " ".join(shown.err.split())
    Image.new("RGB", (9, 9)).save(tmp_path / "3.jpg")
    assert main(["inspect", str(tmp_path)]) == 0


def test_inspecting_needs_no_tensorflow(described, run_python):
    code = f"from tfmmrec.cli.main import main\nimport sys\nassert main(['inspect', {str(described)!r}]) == 0"
    done = run_python(f"{code}\nassert 'tensorflow' not in sys.modules")
    assert (done.returncode, done.stderr) == (0, "")
