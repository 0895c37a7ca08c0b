"""What the development server bears: clients without a pause, while versions change and requests are answered.

    python benchmarks/load.py --json load.json

A two-tower model of the embedded catalogue `fashion`, trained for one epoch (what it recommends does not matter here),
is exported and served by `tfmmrec serve` in a process of its own on the loopback. Eight clients, half of them over REST
and half over gRPC, each a thread of this process, ask `recommend` for one known query after the other, the 20 best of
2,000 candidates, and try nothing twice: whatever goes wrong counts as failed. Meanwhile the next version is put into
the folder, by one rename, as often as `--switches` says. It stops by itself.

A version is put into place five seconds after the one before it is in service and the older has been given back. The
load lasts until the last one has served for a third of `--seconds`, even where that makes it longer. Latencies are the
clients', who share the machine's cores with the server, and with the loading of versions. Memory is what the server's
process holds (resident) five seconds after each version is in service, and at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from measuring import machine, parser, publish

K = 20
LONGEST = 10  # times --seconds: until then the last version has to be in service


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--switches", type=int, default=2)
    options.add_argument("--model", type=Path, help="an exported model, in place of the one that is trained here")
    options.add_argument("--dataset", type=Path, help="of that model, for its query ids")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="tfmmrec-load-") as folder:
        publish(measure(Path(folder), arguments), arguments.json)


def measure(folder: Path, arguments: argparse.Namespace) -> dict:
    """Serves a model, asks it, changes its version."""
    exported, ids = _model(folder, arguments)
    versions = folder / "saved_models" / "fashion"
    for number in range(2, arguments.switches + 2):
        shutil.copytree(exported, folder / str(number))
    versions.mkdir(parents=True)
    shutil.copytree(exported, versions / "1")
    server, urls = _serve(versions)
    try:
        load = Load(urls, ids, arguments.clients, arguments.seed)
        load.start()
        memory = _switch(load, server.pid, folder, versions, arguments)
        load.stop()
        states = load.status()
    finally:
        server.send_signal(signal.SIGTERM)
        said = server.communicate(timeout=60)[0]
    found = load.summary()
    return {
        "machine": machine(),
        "seconds": round(load.seconds, 1),
        "clients": arguments.clients,
        "switches": arguments.switches,
        "states": states,
        **found,
        "memory_mb": memory,
        "server_said": said.splitlines()[-1],
        "exit_status": server.returncode,
    }


class Load:
    """Clients that ask without a pause.

    Args:
        urls: of the model over REST and over gRPC.
        ids: of queries.
        num_clients: threads.
        seed: of who asks when.
    """

    def __init__(self, urls: tuple[str, str], ids: list[str], num_clients: int, seed: int):
        self._urls = urls
        self._ids = ids
        self._is_over = threading.Event()
        self._seconds: dict[str, list[float]] = {"rest": [], "grpc": []}
        self._failures: Counter[str] = Counter()
        self._begun = self.seconds = 0.0
        self._threads = [threading.Thread(target=self._ask, args=(place, seed + place)) for place in range(num_clients)]

    def start(self) -> None:
        """Begins to ask."""
        self._begun = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits for the last answers."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self._begun

    def status(self) -> dict[str, str]:
        """The states of the versions."""
        from tfmmrec.serving.client import connect

        with connect(self._urls[0]) as client:
            return {str(number): state for number, state in client.status().items()}

    def summary(self) -> dict:
        """How many were answered, how many not and why, and how long it took."""
        num_answered = sum(len(taken) for taken in self._seconds.values())
        return {
            "answered": num_answered,
            "failed": sum(self._failures.values()),
            "failures": dict(self._failures),
            "requests_per_second": round(num_answered / self.seconds, 1),
            "milliseconds": {name: _percentiles(taken) for name, taken in self._seconds.items()},
        }

    def _ask(self, place: int, seed: int) -> None:
        from tfmmrec.serving.client import connect
        from tfmmrec.serving.retries import Retries

        kind = ("rest", "grpc")[place % 2]
        draw = np.random.default_rng(seed)
        with connect(self._urls[place % 2], retries=Retries(attempts=1)) as client:
            while not self._is_over.is_set():
                own = self._ids[draw.integers(len(self._ids))]
                begun = time.monotonic()
                try:
                    (found,) = client.ask("recommend", [{"query_id": own, "k": K}])
                    if len(found["candidate_ids"]) != K or not np.isfinite(found["scores"]).all():
                        raise RuntimeError("an answer that is none")
                    self._seconds[kind].append(time.monotonic() - begun)
                except Exception as error:  # whatever it is, it is counted
                    self._failures[f"{type(error).__name__}: {error}"[:200]] += 1


def _model(folder: Path, arguments: argparse.Namespace) -> tuple[Path, list[str]]:
    from tfmmrec.data.dataset import load_dataset
    from tfmmrec.data.fashion import write_fashion
    from tfmmrec.serving.export import export_run
    from tfmmrec.training import TrainingOptions, train

    if arguments.model is not None:
        return arguments.model, load_dataset(arguments.dataset).queries.ids.to_pylist()
    dataset = load_dataset(write_fashion(folder / "fashion", arguments.seed))
    run = train(dataset, folder / "run", "two_tower", options=TrainingOptions(epochs=1, refit=False))
    return Path(export_run(run, folder / "exported", dataset)), dataset.queries.ids.to_pylist()


def _serve(versions: Path) -> tuple[subprocess.Popen, tuple[str, str]]:
    """The server's process, once it is ready, and its addresses."""
    code = "from tfmmrec.cli.main import run; run()"
    arguments = [str(versions), "--runtime", "development", "--port", "0", "--grpc-port", "0"]
    server = subprocess.Popen([sys.executable, "-c", code, "serve", *arguments], stdout=subprocess.PIPE, text=True)
    for line in server.stdout:
        print(line.rstrip(), file=sys.stderr)
        if found := re.match(r"Ready: REST (\S+), gRPC (\S+)", line):
            return server, found.groups()
    raise RuntimeError(f"the server ended with status {server.wait()}")


def _switch(load: Load, pid: int, folder: Path, versions: Path, arguments: argparse.Namespace) -> list[float]:
    """Puts the versions into place one after the other; returns the memory of the process under each of them."""
    begun, number, memory = time.monotonic(), 1, []
    last, end = arguments.switches + 1, time.monotonic() + arguments.seconds
    while len(memory) < last or time.monotonic() < end:
        if time.monotonic() - begun > LONGEST * arguments.seconds:
            raise SystemExit(f"version {number} is not in service after {LONGEST * arguments.seconds:.0f} s")
        time.sleep(1.0)
        if number > len(memory) and load.status() == {str(n): _state(n, number) for n in range(1, number + 1)}:
            time.sleep(5.0)  # under load, and after the one before it has been given back
            memory.append(_resident_mb(pid))
            end = max(end, time.monotonic() + arguments.seconds / 3)  # of the last one
            print(f"version {number} after {time.monotonic() - begun:.0f} s: {memory[-1]} MB", file=sys.stderr)
            if number < last:
                number += 1
                (folder / str(number)).rename(versions / str(number))
    return [*memory, _resident_mb(pid)]


def _state(number: int, newest: int) -> str:
    return "AVAILABLE" if number == newest else "END"


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    return round(kilobytes / 1024, 1)


def _percentiles(seconds: list[float]) -> dict[str, float]:
    values = 1_000 * np.array(seconds or [np.nan])
    return {name: round(float(np.percentile(values, share)), 2) for name, share in (("p50", 50), ("p99", 99))}


if __name__ == "__main__":
    main()
