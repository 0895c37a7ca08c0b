"""What pretraining on the catalogue is worth to a frozen encoder of pictures, on garments that nobody has chosen yet.

    python benchmarks/pretraining.py --json pretraining.json

Two-tower models are trained on the embedded catalogue with nothing but the picture of a garment, through the same small
network: untrained, pretrained by augmentation pairs, pretrained by image and text (with the titles), and without
`pretrained`, where the training itself teaches it from the interactions. Each of the first three is frozen. What is
printed is of the test part, warm garments ranked among all and cold ones among the cold; seeds are of the training.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sys
import tempfile
from pathlib import Path

import yaml
from measuring import machine, parser, publish, spread

from tfmmrec.data.dataset import load_dataset
from tfmmrec.data.fashion import write_fashion
from tfmmrec.pretrained.halves import write_halves
from tfmmrec.pretraining import load_catalogue, pretrain
from tfmmrec.pretraining.small_image import small_image_halves
from tfmmrec.run_evaluation import evaluate_run
from tfmmrec.training import train

METRICS = ("recall@20", "ndcg@20")


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=2, help="how many, from --seed on")
    options.add_argument("--epochs", type=int, default=20, help="of pretraining, at most")
    options.add_argument("--training-epochs", type=int, help="at most so many; the zoo's default unless given")
    options.add_argument("--size", type=int, default=2000, help="candidates of the catalogue")
    given = options.parse_args()
    limits = {} if given.training_epochs is None else {"epochs": given.training_epochs}
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept) / "fashion"
        scale = given.size / 2000
        write_fashion(folder, given.size, num_queries=int(3000 * scale), num_interactions=int(60000 * scale))
        config = Path(kept) / "pictures.yaml"
        described = yaml.safe_load((folder / "dataset.yaml").read_text())
        described["candidates"]["features"] = {"picture": {"kind": "image"}}
        config.write_text(yaml.safe_dump(described))
        encoders, losses = _encoders(folder, Path(kept), given.epochs, given.seed)
        rows = []
        for seed in range(given.seed, given.seed + given.seeds):
            for name, encoder in encoders.items():
                settings = {} if encoder is None else {"pretrained": {"picture": str(encoder)}}
                dataset, place = load_dataset(folder, config), Path(kept) / f"{name} {seed}"
                run = train(dataset, place, "two_tower", settings, limits | {"seed": seed})
                metrics = evaluate_run(run, dataset=dataset).metrics
                found = {f"{part} {metric}": metrics[part][metric] for part in ("warm", "cold") for metric in METRICS}
                rows.append({"encoder": name, "seed": seed} | found)
                print(rows[-1], file=sys.stderr)
    summary = {
        name: {key: spread([row[key] for row in rows if row["encoder"] == name]) for key in list(rows[0])[2:]}
        for name in encoders
    }
    publish({"machine": machine(), "losses": losses, "summary": summary, "rows": rows}, given.json)


def _encoders(folder: Path, kept: Path, epochs: int, seed: int) -> tuple[dict[str, Path | None], dict]:
    untrained = kept / "untrained"
    untrained.mkdir()
    write_halves(small_image_halves(seed=seed), untrained)
    catalogue, chosen = load_catalogue(folder), {"epochs": epochs, "seed": seed}
    pairs = pretrain(catalogue, {"picture": "small"}, kept / "pairs", options=chosen)
    both = pretrain(catalogue, {"picture": "small", "title": "small"}, kept / "both", options=chosen)
    losses = {
        done.objective: {"chance": done.fitted.chance, "held out": done.fitted.best.valid_loss}
        for done in (pairs, both)
    }
    encoders = {"untrained": untrained, "augmentation_pairs": kept / "pairs", "image_text": both.folders["picture"]}
    return encoders | {"taught by the interactions": None}, losses


if __name__ == "__main__":
    main()
