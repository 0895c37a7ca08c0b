"""`tfmmrec index`."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving.catalogue import fashion, songs, untrained_run
from tests.serving.tables import candidates_table, first_candidates, write_candidates
from tfmmrec.cli.main import main
from tfmmrec.serving.export import export_run
from tfmmrec.serving.exported_model import load_exported
from tfmmrec.serving.push import push_run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An export of 26 of 30 songs, and the other four as a table."""
    folder = tmp_path_factory.mktemp("songs")
    dataset = songs(query_features=False)
    export_run(untrained_run(dataset, folder / "run"), folder / "export", first_candidates(dataset, 26))
    write_candidates(folder / "new.parquet", dataset, [25, 26, 27, 28, 29], remark=["not looked at"] * 5)
    (folder / "gone.txt").write_text("s3\n\ns4\ns999\n")
    return folder


def test_an_export_with_other_candidates_is_written_beside(small, tmp_path, capsys):
    given = ["--candidates", str(small / "new.parquet"), "--remove", str(small / "gone.txt")]
    assert main(["index", str(small / "export"), *given, "--to", str(tmp_path / "new")]) == 0
    shown = capsys.readouterr().out
    assert "28 candidates: 4 new, 0 changed, 2 removed; 4 encoded, 1 given again as they were" in shown
    assert "columns that the model's schema does not name: remark" in shown
    assert "to be removed, but not in the index: s999" in shown and f"Wrote {tmp_path / 'new'}" in shown
    assert load_exported(tmp_path / "new").rows_of(["s2", "s3", "s29"]) == [2, -1, 27]


def test_what_is_refused(small, tmp_path, capsys):
    new, export, to = str(small / "new.parquet"), str(small / "export"), str(tmp_path / "a")
    for arguments, message in (
        ([export, "--candidates", new], "is one model and no folder of versions"),
        ([export, "--to", to], "nothing is asked of the index"),
        ([export, "--candidates", new, "--to", to, "--force"], "--dataset and --force are for what is published"),
        ([str(tmp_path / "none"), "--candidates", new], "no such folder"),
        (
            [export, "--candidates", "gone.csv", "--to", to],
            "gone.csv: no such file; expected a table of new",
        ),
    ):
        assert main(["index", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with the garments' dataset, a version in service of all but the last ten, and these as a table beside
    the pictures.
    """
    folder = tmp_path_factory.mktemp("garments")
    dataset = fashion(folder / "data")
    run = untrained_run(dataset, folder / "run")
    assert push_run(
        run, folder / "models" / "garments", dataset=first_candidates(dataset, 110), force=True
    ).is_published
    pq.write_table(candidates_table(dataset, list(range(110, 120))), folder / "data" / "new.parquet")
    (folder / "gone.txt").write_text("\n".join(dataset.candidates.ids[:2].to_pylist()))
    (folder / "policy.yaml").write_text("max_latency_ratio: 20\n")  # other tests run beside these
    return folder


@pytest.mark.slow
def test_the_version_in_service_gets_new_garments_from_their_pictures(published, capsys):
    name, data = published / "models" / "garments", published / "data"
    table = pq.read_table(data / "new.parquet")
    schema = load_exported(name).schema.candidates
    pictures = next(feature.column or key for key, feature in schema.features.items() if feature.kind == "image")
    (data / "broken.jpg").write_bytes(b"no picture")
    place = table.schema.get_field_index(pictures)
    broken = pa.array(["broken.jpg", *table[pictures].to_pylist()[1:]])
    pq.write_table(table.set_column(place, pictures, broken), data / "broken.parquet")
    loose = ["--policy", str(published / "policy.yaml"), "--json"]
    given = ["--candidates", str(data / "broken.parquet"), "--remove", str(published / "gone.txt")]
    assert main(["index", str(name), *given, *loose]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["outcome"], answer["version"], answer["path"]) == ("published", 2, str(name.resolve() / "2"))
    counts = {"num_candidates": 118, "added": 10, "changed": 0, "unchanged": 0, "removed": 2, "encoded": 10}
    assert {key: answer[key] for key in counts} == counts
    assert len(answer["issues"]) == 1 and "broken.parquet" in answer["issues"][0] and "1 ×" in answer["issues"][0]
    origin = [json.loads(line) for line in (name / "history.jsonl").read_text().splitlines()][-1]["origin"]
    assert (origin["version"], origin["candidates"]) == (1, str((data / "broken.parquet").resolve()))
    assert main(["index", str(name), "--candidates", str(data / "new.parquet"), *loose]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["changed"], answer["unchanged"], answer["encoded"]) == (3, 1, 9, 1)
    ids = table.column(0).to_pylist()
    before, after = (load_exported(name / version).vectors_of(ids) for version in ("2", "3"))
    assert (before[0] != after[0]).any() and (before[1:] == after[1:]).all(), "only the picture that was mended"


@pytest.mark.slow
def test_a_model_that_carries_no_queries_needs_a_dataset(published, tmp_path, capsys):
    name = tmp_path / "models" / "garments"
    shutil.copytree(published / "models" / "garments" / "1", name / "1")
    (name / "1" / "assets.extra" / "evaluation.parquet").unlink()
    asked = ["index", str(name), "--remove", str(published / "gone.txt"), "--policy", str(published / "policy.yaml")]
    assert main(asked) == 2
    assert "carries no queries to be measured with; name a dataset with --dataset" in capsys.readouterr().err
    assert [path.name for path in name.iterdir()] == ["1"]
    assert main([*asked, "--dataset", str(published / "data"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == 2 and answer["removed"] == 2
    assert not (name / "2" / "assets.extra" / "evaluation.parquet").exists(), "what was left out stays left out"
