import numpy as np

from tfmmrec.data.dataset_counts import DatasetCounts
from tfmmrec.data.feature_counts import FeatureCounts
from tfmmrec.data.issues import Issue, Issues
from tfmmrec.data.value_counts import ValueCounts


def issues_of(*counted):
    issues = Issues()
    for issue in counted:
        issues.add(*issue)
    return issues


def test_pieces_are_merged_in_any_order():
    one = DatasetCounts.of_issues("log", 100, issues_of(("late", "b.csv", 1, "row 5"), ("odd", "b.csv", 2, "row 6")))
    other = DatasetCounts.of_issues("log", 7, issues_of(("odd", "b.csv", 3, "row 1")))
    one.counts["rows", "train"] = 2
    other.counts["rows", "train"] = 5
    one.lengths["train"] = ValueCounts.of(np.array([1, 2]))
    other.lengths["train"] = ValueCounts.of(np.array([2]))
    one.features["candidates", "title"] = FeatureCounts("text", num_rows=4)
    other.digests["b.csv"] = "f00"
    one.faults, other.faults = ("z", "a"), ("b", "a")
    for pieces in ([one, other], [other, one], [DatasetCounts.merged([other]), DatasetCounts(), one]):
        found = DatasetCounts.merged(pieces)
        assert found.counts == {("rows", "train"): 7}
        assert (found.lengths["train"].values.tolist(), found.lengths["train"].counts.tolist()) == ([1, 2], [1, 2])
        assert found.all_issues("log") == [Issue("odd", "b.csv", 5, "row 1"), Issue("late", "b.csv", 1, "row 5")]
        assert found.all_issues("candidates") == []
        assert found.faults == ("a", "b", "z")
        assert found.features["candidates", "title"].num_rows == 4 and found.digests == {"b.csv": "f00"}
    assert one.counts["rows", "train"] == 2, "a piece is not changed by merging it"


def test_some_faults_are_enough():
    pieces = [DatasetCounts(faults=(f"file {number:03}",)) for number in range(100)]
    assert DatasetCounts.merged(pieces).faults == tuple(f"file {number:03}" for number in range(20))
