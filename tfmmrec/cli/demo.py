"""`tfmmrec demo`: the whole way through, on the embedded catalogue."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfmmrec.cli.output import Json, console, table
from tfmmrec.cli.quiet import import_tensorflow
from tfmmrec.types import UsageError

if TYPE_CHECKING:
    from tfmmrec.cli.demo_catalogues import DemoCatalogue
    from tfmmrec.data.dataset import Dataset
    from tfmmrec.evaluation import Evaluation

MODELS = {"id_only": "ID-only", "two_tower": "multimodal"}
K = 20


def demo(
    out: Annotated[Path, typer.Option(help="The folder that everything is written into.")] = Path("demo"),
    catalogue: Annotated[
        str, typer.Option(help="fashion (pictures and words) or songs (sounds, moving covers and words).")
    ] = "fashion",
    seed: Annotated[int, typer.Option(help="Of the catalogue and of the training.")] = 0,
    json: Json = False,
) -> dict[str, Any]:
    """Go the whole way on an embedded catalogue: train, evaluate, export, ask, report.

    A second demo in the same folder trains anew; the catalogue is generated once.
    """
    from tfmmrec.cli.demo_catalogues import CATALOGUES

    if catalogue not in CATALOGUES:
        raise UsageError(f"--catalogue must be {' or '.join(CATALOGUES)}, got {catalogue!r}")
    import_tensorflow()
    from tfmmrec.callbacks.stage_bar import StageBar
    from tfmmrec.data.dataset import load_dataset
    from tfmmrec.run_evaluation import evaluate_run, run_files
    from tfmmrec.serving.export import export_run

    shown = CATALOGUES[catalogue]
    progress = StageBar()
    _say(f"The catalogue: {shown.about} ...")
    folder = shown.write(out / catalogue, seed)
    dataset = load_dataset(folder)
    counts = dataset.summary()
    _say(
        f"  {counts['num_candidates']:,} {shown.candidates}, {counts['num_cold_candidates']:,} of them cold (nobody "
        f"has chosen them yet), {counts['num_queries']:,} {shown.queries}, {dataset.train.num_rows:,} choices to learn "
        "from"
    )
    evaluations = {}
    for name, title in MODELS.items():
        _say(f"Training {title} ({name}) ...")
        run = _train(dataset, out / shown.runs / name, name, seed)
        main = name == "two_tower"
        evaluations[name] = evaluate_run(run, ks=(10, K), dataset=dataset, baselines=main, progress=progress)
    _say("Exporting the multimodal model for TensorFlow Serving ...")
    exported = export_run(run, dataset=dataset, progress=progress)
    answer = _measured(evaluations) | {
        "dataset": folder,
        "run": run.path,
        "model": exported,
        "report": run_files(run.path)["report"],
    }
    _show(answer, shown.candidates.capitalize())
    answer["questions"] = _ask(exported, dataset, shown)
    _say("")
    _say(f"The report, with pictures: {answer['report']}")
    _say(f"The model, for TensorFlow Serving: {exported}")
    _say(f'Ask it: tfmmrec query {exported} --text "{shown.text}"')
    return answer


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)


def _train(dataset: Dataset, path: Path, model: str, seed: int):
    from tfmmrec.run_lock import LOCK_FILE, RunLock
    from tfmmrec.training import TrainingOptions, train
    from tfmmrec.zoo import ZOO

    if (path / "config.json").exists():  # an earlier demo's, unless it is still at work
        with RunLock(path) as lock:
            lock.take()
            shutil.rmtree(path)
    elif path.exists() and any(file.name not in (LOCK_FILE, "statistics.json") for file in path.iterdir()):
        raise UsageError(f"{path} holds something that is no run; name another folder by --out")
    return train(dataset, path, model, options=TrainingOptions(**(ZOO[model].training | {"seed": seed})))


def _measured(evaluations: dict[str, Evaluation]) -> dict[str, Any]:
    """The table's numbers, and whether the content costs anything where ids are known."""
    from tfmmrec.evaluation import paired_bootstrap

    metric = f"ndcg@{K}"
    full = evaluations["two_tower"].metrics
    found = {"MostPop": full["baselines"]["most_popular"]}
    found |= {title: evaluations[name].metrics for name, title in MODELS.items()}
    rows = {}
    for title, metrics in found.items():
        rows[title] = {
            name: {
                f"recall@{K}": metrics[name][f"recall@{K}"],
                metric: metrics[name][metric],
                "share_of_oracle": metrics[name][metric] / full["oracle"][name][metric],
            }
            for name in ("warm", "cold")
        }
    rows["best possible"] = {
        name: {f"recall@{K}": full["oracle"][name][f"recall@{K}"], metric: full["oracle"][name][metric]}
        for name in ("warm", "cold")
    }
    warm = [evaluations[name].per_query["warm"][metric] for name in ("two_tower", "id_only")]
    difference = paired_bootstrap(*warm, relative=True)
    return {"metrics": rows, "warm_against_id_only": difference._asdict()}


def _show(answer: dict[str, Any], candidates: str) -> None:
    rows = []
    for title, slices in answer["metrics"].items():
        cells = [title]
        for name in ("warm", "cold"):
            share = slices[name].get("share_of_oracle")
            cells += [slices[name][f"recall@{K}"], slices[name][f"ndcg@{K}"], None if share is None else f"{share:.0%}"]
        rows.append(cells)
    heads = [f"{name}\n{what}" for name in ("warm", "cold") for what in (f"Recall@{K}", f"NDCG@{K}", "of the best")]
    title = f"{candidates} of the test: warm among all, cold among the cold"
    console().print(table(["", *heads], rows, title=title, numbers=range(1, 7)))
    cold = {title: slices["cold"][f"ndcg@{K}"] for title, slices in answer["metrics"].items()}
    chance = max(cold["ID-only"], cold["MostPop"])  # where nothing is known all scores are equal: MostPop is chance
    warm = answer["warm_against_id_only"]
    _say(
        f"Cold {candidates.lower()}: {cold['multimodal'] / chance:.1f} times the better of ID-only and chance. Warm "
        f"ones: {warm['difference']:+.1%} against ID-only (95% interval {warm['low']:+.1%} to {warm['high']:+.1%})."
    )


def _ask(exported: Path, dataset: Dataset, shown: DemoCatalogue) -> list[dict[str, Any]]:
    """Asks the exported model for a known query, for a history, and for content that it has never seen."""
    from tfmmrec.serving.answers import answer
    from tfmmrec.serving.exported_model import load_exported

    model = load_exported(exported)
    known = dataset.queries.ids[0].as_py()
    history = dataset.candidates.ids.take(dataset.train.candidates_of(1)[:5]).to_pylist()
    new, content = shown.question()
    questions = {
        f"For the {shown.queries.removesuffix('s')} {known}": {"query_id": known, "dataset": dataset},
        f"For someone who chose {', '.join(history)}": {"history": history},
        f"Like {new}": content,
    }
    asked = []
    for question, inputs in questions.items():
        found = answer(model, k=5, **inputs)
        titles = [
            f"{entry.display.get('title') or entry.candidate_id} ({entry.score:.2f})" for entry in found.candidates
        ]
        _say(f"\n{question}:\n  " + ", ".join(titles))
        ids = [entry.candidate_id for entry in found.candidates]
        asked.append({"question": question, "source": found.source, "candidate_ids": ids})
    return asked
