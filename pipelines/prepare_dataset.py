"""A dataset checked, counted, parted and written as TFRecord shards on Apache Beam: a folder that trains as it is.

    python pipelines/prepare_dataset.py DATASET --to FOLDER [--errors FILE] [BEAM'S OPTIONS]

What the folder holds is what one process finds that loads the dataset: the same rows, parts, counts and statistics, by
any number of workers. A file is read by one worker; what is grouped (by an id's hash, by the rows of queries and of
candidates) are many rows at once, as Arrow's bytes. Without `--runner` Beam's runner of this machine takes it, in
`--direct_num_workers` processes with `--direct_running_mode=multi_processing`. FOLDER appears when all is done, or not
at all; a killed run is started again by the same command.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the workers that are started here, too

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import AsIter, AsSingleton, PCollection, TaggedOutput

from tfmmrec.cli.beam_flags import check_flags
from tfmmrec.data.block_splits import newest_from
from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.dataset_writer import new_folder
from tfmmrec.data.feature_counts import FeatureCounts
from tfmmrec.data.frequency_shards import write_frequencies, write_ids
from tfmmrec.data.id_numbers import by_hash, num_packed, numbered, range_ids, starts_of
from tfmmrec.data.interaction_shards import (
    Known,
    draw_cold,
    look_up_candidates,
    look_up_queries,
    merged_chosen,
    merged_rows,
    write_block,
)
from tfmmrec.data.log_shards import read_log_file
from tfmmrec.data.prepared_folder import check_counts, finish_folder
from tfmmrec.data.sharded_dataset import ROWS_PER_BLOCK, ShardedDataset
from tfmmrec.data.table_shards import distinct_ids, read_table_file
from tfmmrec.data.value_counts import ValueCounts
from tfmmrec.types import DataError, UsageError

LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""What DirectRunner falls back to where it cannot fetch a program that is no Python."""
COUNTS = "counts.pickle"


class Tagged(beam.DoFn):
    """A function that yields (tag, value) pairs: each tag is an output. A tuple is handed over as arguments."""

    def __init__(self, function: Callable[..., Iterator[tuple[str, object]]]):
        self.function = function

    def process(self, element, *arguments) -> Iterator[TaggedOutput]:
        own = element if isinstance(element, tuple) else (element,)
        for tag, value in self.function(*own, *arguments):
            yield TaggedOutput(tag, value)


def of_tuple(function: Callable) -> Callable:
    """The function of a tuple that is handed over as arguments, with side inputs behind."""
    return lambda element, *arguments: function(*element, *arguments)


class Preparation:
    """The pipeline's steps.

    Args:
        pipeline: gets them.
        dataset: what is prepared.
        with_media: decode every picture, sound and video.
    """

    def __init__(self, pipeline: beam.Pipeline, dataset: ShardedDataset, with_media: bool):
        self.pipeline = pipeline
        self.dataset = dataset
        self.with_media = with_media
        self.counts: list[PCollection] = []
        self.rejected: list[PCollection] = []

    def build(self, errors: str) -> None:
        """All steps, to the file of counts and that of the rejected rows."""
        dataset = self.dataset
        files = self.spread("Log", range(len(dataset.log)))
        log = self.step("Read log", files, read_log_file, "rows, candidate ids, query ids, counts, rejected", dataset)
        candidates = self.side("candidates", log["candidate ids"])
        queries = self.side("queries", log["query ids"])
        both = {"rows": log["rows"], "ids": candidates["by_hash"]} | "Meet candidates" >> beam.CoGroupByKey()
        found = self.step("Look candidates up", both, look_up_candidates, "rows", dataset)
        both = {"rows": found["rows"], "ids": queries["by_hash"]} | "Meet queries" >> beam.CoGroupByKey()
        tags = "blocks, sizes, present, times, fractions, counts, rejected"
        found = self.step("Look queries up", both, look_up_queries, tags, dataset)
        known = AsSingleton(self.known(found, candidates["starts"], queries["starts"]))
        blocks = found["blocks"] | "By queries" >> beam.GroupByKey()
        written = self.step("Write interactions", blocks, write_block, "chosen, counts", dataset, known)
        chosen = written["chosen"] | "Sum of choices" >> beam.CombinePerKey(merged_chosen)
        both = {"ids": candidates["by_row"], "chosen": chosen} | "Meet choices" >> beam.CoGroupByKey()
        self.step("Write frequencies", both, write_frequencies, "counts", dataset, known)
        for side, own in (("candidates", candidates), ("queries", queries)):
            if not dataset.is_fixed(side):
                blocks = own["by_row"] | f"{side}: by row" >> beam.GroupByKey()
                _ = blocks | f"{side}: write ids" >> beam.Map(of_tuple(write_ids), side, dataset, known)
        self.write(errors)

    def spread(self, label: str, elements: Sequence[int]) -> PCollection:
        """Numbers for the workers to share."""
        return self.pipeline | f"{label}: names" >> beam.Create(elements) | f"{label}: spread" >> beam.Reshuffle()

    def step(self, label: str, collection: PCollection, function: Callable, tags: str, *arguments):
        """A function's outputs by their tags; what it has counted and rejected is kept for the end."""
        names = tags.split(", ")
        outputs = collection | label >> beam.ParDo(Tagged(function), *arguments).with_outputs(*names)
        if "counts" in names:
            self.counts.append(outputs["counts"])
        if "rejected" in names:
            self.rejected.append(outputs["rejected"])
        return outputs

    def side(self, side: str, learned: PCollection) -> dict[str, PCollection]:
        """One side's ids with their rows, "by_hash" and "by_row", and how many there are ("starts")."""
        dataset, ids = self.dataset, learned
        if dataset.tables[side]:
            files = self.spread(side, range(len(dataset.tables[side])))
            tags = "ids, feature, counts, rejected"
            read = self.step(f"{side}: read", files, read_table_file, tags, side, dataset, self.with_media)
            self.features(side, read["feature"])
            ids = read["ids"]
        elif dataset.is_fixed(side):
            number, partitions = getattr(dataset.schema, side).ids.range, dataset.num_partitions
            ids = self.spread(side, range(0, number, ROWS_PER_BLOCK)) | f"{side}: ids" >> beam.FlatMap(
                lambda start: by_hash(range_ids(start, min(start + ROWS_PER_BLOCK, number)), partitions)
            )
        hashed = ids | f"{side}: by hash" >> beam.GroupByKey()
        first = self.step(f"{side}: distinct", hashed, distinct_ids, "stretch, counts, rejected", side, dataset)
        sizes = first["stretch"] | f"{side}: sizes" >> beam.MapTuple(lambda key, packed: (key, num_packed(packed)))
        starts = self.starts(side, sizes)
        self.counts.append(
            starts | f"{side}: number" >> beam.Map(lambda own: DatasetCounts(Counter({("ids", side): own[-1]})))
        )
        stretches = first["stretch"] | f"{side}: by place" >> beam.GroupByKey()
        arguments = (AsSingleton(starts), dataset.num_partitions, dataset.per_block(side))
        rows = self.step(f"{side}: rows", stretches, numbered, "by_hash, by_row", *arguments)
        return {"by_hash": rows["by_hash"], "by_row": rows["by_row"], "starts": starts}

    def starts(self, label: str, sizes: PCollection) -> PCollection:
        """How much lies before each key, of (key, size)."""
        sums = sizes | f"{label}: sum of sizes" >> beam.CombinePerKey(sum)
        return sums | f"{label}: all sizes" >> beam.combiners.ToDict() | f"{label}: starts" >> beam.Map(starts_of)

    def features(self, side: str, parts: PCollection) -> None:
        """Counts features by the hash of their values first, then the little that is left of each."""
        self.counts.append(
            parts
            | f"{side}: of values" >> beam.CombinePerKey(FeatureCounts.merged)
            | f"{side}: trim" >> beam.MapTuple(lambda key, counted: (key[:2], counted.trimmed()))
            | f"{side}: of features" >> beam.CombinePerKey(FeatureCounts.merged)
            | f"{side}: counts" >> beam.MapTuple(lambda key, counted: DatasetCounts(features={key: counted}))
        )

    def known(self, rows, candidates: PCollection, queries: PCollection) -> PCollection:
        """The one `Known`."""
        log = self.dataset.schema.interactions
        starts = AsSingleton(self.starts("interactions", rows["sizes"]))
        candidates, queries = AsSingleton(candidates), AsSingleton(queries)
        fractions = AsIter(rows["fractions"] | "Are there fractions" >> beam.Distinct())
        once, test, valid, cold = self.pipeline | "Once" >> beam.Create([None]), None, None, None
        if log.path and log.split_or_default.method == "time":
            split = log.split_or_default
            times = rows["times"] | "Count times" >> beam.CombinePerKey(ValueCounts.merged)
            sizes = times | "Of a bucket" >> beam.MapTuple(lambda bucket, own: (bucket, own.total))
            sizes = AsSingleton(sizes | "Of all buckets" >> beam.combiners.ToDict())
            test = times | "Find test" >> beam.FlatMap(of_tuple(newest_from), sizes, split.test)
            test = AsSingleton(test, default_value=(0.0, 0))
            valid = times | "Find valid" >> beam.FlatMap(
                lambda own, sizes, test: newest_from(*own, sizes, split.valid, test[1]), sizes, test
            )
            valid = AsSingleton(valid, default_value=None)
        if log.cold_candidates:
            present = rows["present"] | "Present" >> beam.CombinePerKey(merged_rows) | "Their rows" >> beam.Values()
            cold = once | "Draw" >> beam.Map(
                lambda _, present, candidates: draw_cold(present, candidates[-1], log.cold_candidates, log.seed),
                AsIter(present),
                candidates,
            )
            cold = AsSingleton(cold)
        known = once | "Known" >> beam.Map(
            lambda _, *found: Known.of(*found), starts, queries, candidates, fractions, test, valid, cold
        )
        self.counts.append(known | "Fault" >> beam.Map(lambda own: DatasetCounts(faults=own.faults)))
        return known

    def write(self, errors: str) -> None:
        """The file of counts and that of the rejected rows."""
        path = Path(self.dataset.to, COUNTS)
        counts = self.counts | "All counts" >> beam.Flatten() | beam.CombineGlobally(DatasetCounts.merged)
        _ = counts | "Write counts" >> beam.Map(lambda own: path.write_bytes(pickle.dumps(own)))
        rejected = self.rejected | "All rejected" >> beam.Flatten()
        _ = rejected | "Write rejected" >> beam.io.WriteToText(errors, num_shards=1, shard_name_template="")


def run(
    dataset: str | Path,
    to: str | Path,
    errors: str | None = None,
    flags: Sequence[str] = (),
    *,
    config: str | Path | None = None,
    with_media: bool = True,
    max_rejected: float = 0.01,
    queries_per_shard: int = 2**14,
) -> dict:
    """Runs the pipeline until it is done.

    Args:
        dataset: the dataset's folder.
        to: the new folder.
        errors: the file that gets rejected rows, a line of JSON each; FOLDER.rejected.jsonl when None.
        flags: Beam's options.
        config: another yaml than the folder's.
        with_media: decode every picture, sound and video, as `tfmmrec inspect` does.
        max_rejected: the share of interactions that may be unreadable.
        queries_per_shard: whose interactions make one shard.

    Returns:
        The folder, the errors' file, the seconds, what was counted.

    Raises:
        DataError: the dataset cannot be used.
        UsageError: the folder is there, or an argument makes no sense.
    """
    start = time.time()
    if not 0.0 <= max_rejected <= 1.0:
        raise UsageError(f"--max-rejected must be a share between 0 and 1, got {max_rejected}")
    errors = errors or f"{Path(to)}.rejected.jsonl"
    errors = errors if "://" in errors else str(Path(errors).resolve())
    options = PipelineOptions(list(flags))
    named = options.view_as(StandardOptions).runner
    with new_folder(to) as staging:
        opened = ShardedDataset.open(dataset, config, staging, queries_per_shard)
        with beam.Pipeline(runner=LOCAL_RUNNER if named in (None, "DirectRunner") else named, options=options) as steps:
            Preparation(steps, opened, with_media).build(errors)
        path = staging / COUNTS
        counts = pickle.loads(path.read_bytes())
        path.unlink()
        check_counts(opened, counts, max_rejected, errors)
        found = finish_folder(opened, counts, str(dataset))
    return {
        "folder": str(to),
        "errors": errors,
        "num_unreadable": sum(own for (what, _), own in counts.counts.items() if what == "unreadable"),
        "num_candidates": found.candidates.num_rows,
        "num_queries": found.queries.num_rows,
        "num_interactions": {part: own.num_rows for part, own in found.parts.items()},
        "num_issues": sum(issue.count for issue in found.issues),
        "seconds": round(time.time() - start, 3),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; what it does not know must be Beam's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("dataset", help="the dataset's folder")
    parser.add_argument("--to", required=True, help="the new folder")
    parser.add_argument("--config", help="another yaml than the folder's dataset.yaml")
    parser.add_argument("--errors", help="file for rejected rows, and unusable files' ids (FOLDER.rejected.jsonl)")
    parser.add_argument("--skip-media", action="store_true", help="do not decode pictures, sounds and videos")
    parser.add_argument("--max-rejected", type=float, default=0.01, help="share of unreadable interactions (0.01)")
    parser.add_argument("--queries-per-shard", type=int, default=2**14, help="whose interactions make a shard (16384)")
    own, flags = parser.parse_known_args(arguments)
    options = {"config": own.config, "with_media": not own.skip_media, "max_rejected": own.max_rejected}
    try:
        check_flags(parser, flags, PipelineOptions)
        found = run(own.dataset, own.to, own.errors, flags, queries_per_shard=own.queries_per_shard, **options)
    except (DataError, UsageError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
