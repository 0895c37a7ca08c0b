import argparse

import pytest

from tfmmrec.cli.beam_flags import check_flags
from tfmmrec.types import UsageError

PARSER = argparse.ArgumentParser(add_help=False)
PARSER.add_argument("--max-rejected")
PARSER.add_argument("--to")
UNKNOWN = "known neither to this script nor to Beam; "


class Options:
    """As Beam's `PipelineOptions`; tests/pipelines has the scripts with Beam's own."""


class StandardOptions(Options):
    @classmethod
    def _add_argparse_args(cls, parser):
        parser.add_argument("--runner")


class DirectOptions(Options):
    @classmethod
    def _add_argparse_args(cls, parser):
        parser.add_argument("--direct_num_workers", type=int)


@pytest.mark.parametrize(
    "runner", [[], ["--runner=apache_beam.runners.FnApiRunner"], ["--runner", "DirectRunner"], ["--runner=direct"]]
)
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-rejectd", "0.1"], rf"^--max-rejectd: {UNKNOWN}did you mean --max-rejected\?$"),
        (["--max_rejected=0.1"], rf"^--max_rejected: {UNKNOWN}did you mean --max-rejected\?$"),
        (["--direct-num-workers=2"], r"did you mean --direct_num_workers\?$"),
        (["--colour=red"], "^--colour: .* the script's own flags are --max-rejected, --to$"),
        (["other"], "^other: .* the script's own flags are --max-rejected, --to$"),
    ],
)
def test_what_nobody_reads_is_refused(runner, flags, message):
    with pytest.raises(UsageError, match=message):
        check_flags(PARSER, [*runner, *flags], Options)


def test_a_runner_that_hands_flags_on_gets_all_but_near_ones():
    check_flags(PARSER, ["--runner=SparkRunner", "--spark-conf", "max-rejected", "--direct-num-workers=2"], Options)
    check_flags(PARSER, ["--runner=DataflowRunner", "--no_such_experiment=1"], Options)
    with pytest.raises(UsageError, match="did you mean --max-rejected"):
        check_flags(PARSER, ["--runner=SparkRunner", "--max-rejects=1"], Options)


def test_what_beam_knows_is_its_own():
    check_flags(PARSER, ["--runner=DirectRunner", "--direct_num_workers", "2"], Options)
