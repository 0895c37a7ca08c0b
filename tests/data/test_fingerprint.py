import shutil

import pandas as pd

from tfmmrec.data import fingerprint
from tfmmrec.data.fingerprint import hash_files, hash_frame


def test_a_copy_has_the_same_digest_and_any_change_another(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    (one / "t.csv").write_text("a\n1\n")
    shutil.copytree(one, other)
    before = hash_files(one, [one / "t.csv"])
    assert hash_files(other, [other / "t.csv"]) == before
    (other / "t.csv").write_text("a\n2\n")
    assert hash_files(other, [other / "t.csv"]) != before


def test_a_large_file_is_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "_WHOLE_BYTES", 400)
    monkeypatch.setattr(fingerprint, "_CHUNK_BYTES", 100)
    path = tmp_path / "t.bin"
    path.write_bytes(bytes(10_000))
    before = hash_files(tmp_path, [path])
    path.write_bytes(bytes(9_999))
    assert hash_files(tmp_path, [path]) != before
    path.write_bytes(b"\1" + bytes(9_999))
    assert hash_files(tmp_path, [path]) != before


def test_frames():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [[1], {"k": 2}]})
    assert hash_frame(frame) == hash_frame(frame.copy())
    assert hash_frame(frame) != hash_frame(frame.assign(a=[1, 3]))
    assert hash_frame(frame) != hash_frame(frame.rename(columns={"a": "z"}))
    assert hash_frame(frame) != hash_frame(frame.iloc[::-1])
