import json

import numpy as np
import pytest

from tfmmrec.pretrained.encoder_card import check_target, read_card, weights_fingerprint, write_card
from tfmmrec.types import DataError, UsageError


def test_a_card_is_read_as_it_was_written(tmp_path):
    write_card(tmp_path, {"source": "é", "dim": 3})
    assert read_card(tmp_path) == {"format": "tfmmrec-encoder", "source": "é", "dim": 3}


@pytest.mark.parametrize("text", [None, "{", "[]", json.dumps({"format": "another"})])
def test_what_is_no_card(tmp_path, text):
    if text is not None:
        (tmp_path / "encoder.json").write_text(text)
    with pytest.raises(DataError, match="expected an exported encoder with encoder.json, found none; `tfmmrec encoder"):
        read_card(tmp_path)


def test_a_fingerprint_tells_numbers_shapes_and_order_apart():
    one, two = np.arange(6.0).reshape(2, 3), np.zeros(4, np.float32)
    prints = [[one, two], [two, one], [one.reshape(3, 2), two], [one + 1, two], [one.astype(np.float32), two]]
    assert len({weights_fingerprint(arrays) for arrays in prints}) == len(prints)
    assert weights_fingerprint([one.T.copy().T, two]) == weights_fingerprint([one, two]), "however it lies in memory"


def test_what_may_be_replaced(tmp_path):
    check_target(tmp_path / "nowhere", overwrite=False)
    check_target(tmp_path, overwrite=False)
    write_card(tmp_path, {})
    check_target(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="holds an exported encoder already; --overwrite replaces it"):
        check_target(tmp_path, overwrite=False)
    (tmp_path / "encoder.json").write_text("{}")
    with pytest.raises(UsageError, match="holds something that is no exported encoder, and is not replaced"):
        check_target(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="gs://somewhere: encoders are written to this machine"):
        check_target("gs://somewhere", overwrite=True)
