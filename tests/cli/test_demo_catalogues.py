import io

import pytest
from PIL import Image

from tfmmrec.cli.demo_catalogues import CATALOGUES
from tfmmrec.data import fashion, songs


@pytest.mark.parametrize("name", CATALOGUES)
def test_its_question_is_of_content_that_the_catalogue_has(name):
    told, content = CATALOGUES[name].question()
    assert content["text"] in told
    if name == "fashion":
        assert Image.open(io.BytesIO(content["image"])).size == (64, 64)
    else:
        assert content["audio"][:4] == b"RIFF" and content["video"][:3] == b"GIF"
    assert CATALOGUES[name].question()[1] == content


@pytest.mark.parametrize(("name", "module"), [("fashion", fashion), ("songs", songs)])
def test_it_is_written_with_the_seed(name, module, tmp_path, monkeypatch):
    monkeypatch.setattr(module, f"write_{name}", lambda folder, seed: (folder, seed))
    assert CATALOGUES[name].write(tmp_path, 3) == (tmp_path, 3)


def test_no_two_share_a_folder_of_runs():
    assert len({shown.runs for shown in CATALOGUES.values()}) == len(CATALOGUES)
