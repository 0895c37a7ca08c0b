"""A catalogue through a pretrained encoder on Apache Beam, into the feature store that `tfmmrec embed` would fill.

    python pipelines/embed_catalog.py DATASET --encoder DIR [--errors FILE] [BEAM'S OPTIONS]

Candidates are read twice, once for their contents' digests and once by whoever encodes them: what is shuffled are
digests and row numbers, not pictures. A shard is one part of the store, there whole or not at all, so that a killed run
that is started again encodes unfinished shards only. Without `--runner` Beam's runner of this machine takes it, in
`--direct_num_workers` processes with `--direct_running_mode=multi_processing`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the workers that are started here, too

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.utils.shared import Shared

from tfmmrec.catalogue_shards import CatalogueShards, ShardedEmbedding
from tfmmrec.cli.beam_flags import check_flags
from tfmmrec.types import DataError, UsageError

LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""What DirectRunner falls back to where it cannot fetch a program that is no Python."""
NAMESPACE = "tfmmrec"


class _Loaded:
    """What a process has, one for all of its threads."""

    def __init__(self, task: ShardedEmbedding):
        self.shards = CatalogueShards(task)
        self._lock = threading.Lock()
        self._is_new = True
        self._cpu_seconds = time.process_time()

    def news(self) -> dict[str, int]:
        """What has happened to this process since it was last asked, for the metrics."""
        with self._lock:
            now, is_new = time.process_time(), self._is_new
            spent, self._cpu_seconds, self._is_new = now - self._cpu_seconds, now, False
        return {"loaded": int(is_new), "cpu_us": int(spent * 1e6)}


class _OnShards(beam.DoFn):
    """Reads or encodes shards, with what its process has loaded once."""

    def __init__(self, task: ShardedEmbedding, shared: Shared):
        self.task = task
        self.shared = shared

    def setup(self) -> None:
        self.loaded = self.shared.acquire(lambda: _Loaded(self.task))

    def count(self, **counts: int) -> None:
        for name, number in (self.loaded.news() | counts).items():
            Metrics.counter(NAMESPACE, name).inc(number)
        Metrics.distribution(NAMESPACE, "at_ms").update(int(time.time() * 1000))


class ReadShard(_OnShards):
    """Shard -> (digest, first row) of each content that the store does not have; its unreadable rows beside."""

    def process(self, shard: int) -> Iterator:
        self.count()
        found = self.loaded.shards.read(shard)
        self.count(rows=found.num_rows, empty=found.num_empty, unreadable=len(found.unreadable))
        yield from found.first_rows.items()
        yield from (beam.pvalue.TaggedOutput("unreadable", row) for row in found.unreadable)


class EncodeShard(_OnShards):
    """(shard, first rows of its contents) -> the shard, once its part is in the store."""

    def process(self, shard: tuple[int, Iterable[int]]) -> Iterator[int]:
        number, rows = shard
        encoded = self.loaded.shards.encode(list(rows))
        self.count(encoded=encoded, shards=1)
        yield number


def build(pipeline: beam.Pipeline, task: ShardedEmbedding, num_shards: int, errors: str, shared: Shared) -> None:
    """The pipeline's steps.

    Args:
        pipeline: gets them.
        task: with absolute paths, which every worker can reach.
        num_shards: of the catalogue.
        errors: the file that gets the unreadable rows, a line of JSON each.
        shared: what the workers' processes share.
    """
    found = (
        pipeline
        | "Shards" >> beam.Create(range(num_shards))
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadShard(task, shared)).with_outputs("unreadable", main="contents")
    )
    rows_per_shard = task.rows_per_shard
    _ = (
        found.contents
        | "First row" >> beam.CombinePerKey(min)
        | "Its shard" >> beam.MapTuple(lambda _, row: (row // rows_per_shard, row))
        | "By shard" >> beam.GroupByKey()
        | "Encode" >> beam.ParDo(EncodeShard(task, shared))
    )
    _ = (
        found.unreadable
        | "As JSON" >> beam.Map(lambda row: json.dumps(row, ensure_ascii=False))
        | "Errors" >> beam.io.WriteToText(errors, num_shards=1, shard_name_template="")
    )


def run(task: ShardedEmbedding, errors: str, flags: Sequence[str] = ()) -> dict[str, int | str | float]:
    """Runs the pipeline until it is done.

    Args:
        task: what is to be done.
        errors: as of `build`.
        flags: Beam's options.

    Returns:
        What was done: `num_candidates` read, `num_empty` of them without content and `num_unreadable` of those with one
        that is none; `num_new` contents encoded in `num_shards` shards by encoders that were loaded `num_loaded` times;
        the `store`, the `errors`, the `seconds` and, of those, the `working_seconds` from the first row read to the
        last part in the store; `working_cpu_seconds` are what the workers' processors took for that.

    Raises:
        DataError: the dataset or the encoder cannot be read here.
        UsageError: no such feature.
    """
    start, task, shared = time.time(), task.absolute(), Shared()
    errors = errors if "://" in errors else str(Path(errors).resolve())
    shards = shared.acquire(lambda: _Loaded(task)).shards  # refuses what is wrong before any worker is started
    options = PipelineOptions(list(flags))
    named = options.view_as(StandardOptions).runner
    runner = LOCAL_RUNNER if named in (None, "DirectRunner") else named
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline, task, shards.num_shards, errors, shared)
    result = pipeline.run()
    result.wait_until_finish()
    end = time.time()
    found = result.metrics().query(beam.metrics.MetricsFilter().with_namespace(NAMESPACE))
    counts: Counter[str] = Counter()
    for of_step in found["counters"]:
        counts[of_step.key.metric.name] += of_step.committed or of_step.attempted or 0  # runners have one or the other
    times = [at for of_step in found["distributions"] if (at := of_step.committed or of_step.attempted)]
    first_read = min((at.min for at in times), default=0) / 1000
    last_part = max((at.max for at in times), default=0) / 1000
    return {
        "feature": shards.feature,
        "num_candidates": shards.num_candidates,
        "num_empty": counts["empty"],
        "num_unreadable": counts["unreadable"],
        "num_new": counts["encoded"],
        "num_shards": counts["shards"],
        "store": str(shards.store.folder),
        "errors": errors,
        "num_loaded": counts["loaded"],
        "working_seconds": round(last_part - first_read, 3),
        "working_cpu_seconds": counts["cpu_us"] / 1e6,
        "seconds": round(end - start, 3),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; what it does not know must be Beam's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("dataset", help="the dataset's folder")
    parser.add_argument("--encoder", required=True, help="TF-Hub handle or directory of the encoder")
    parser.add_argument("--feature", help="the text or picture it reads, where the candidates have several")
    parser.add_argument("--config", help="another yaml than the folder's dataset.yaml")
    parser.add_argument("--store", help="where stores are kept, if not where $TFMMREC_STORE says")
    parser.add_argument("--half", action="store_true", help="keep float16: half of the disk")
    parser.add_argument("--rows-per-shard", type=int, default=1024, help="a multiple of 64, at most 4096 (1024)")
    parser.add_argument("--errors", default="unreadable.jsonl", help="file for unreadable rows (unreadable.jsonl)")
    own, flags = parser.parse_known_args(arguments)
    dtype = "float16" if own.half else "float32"
    try:
        check_flags(parser, flags, PipelineOptions)
        task = ShardedEmbedding(own.dataset, own.encoder, own.feature, own.config, own.store, dtype, own.rows_per_shard)
        found = run(task, own.errors, flags)
    except (DataError, UsageError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
