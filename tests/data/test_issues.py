from tfmmrec.data.issues import Issues


def test_issues_add_up_by_kind_and_place_and_keep_the_first_example():
    issues = Issues()
    issues.add("unknown id", "a.csv", 2, "row 3")
    issues.add("unknown id", "b.csv", 1, "row 1")
    issues.add("unknown id", "a.csv", 5, "row 9")
    issues.add("nothing", "a.csv", 0, "")
    assert [(issue.where, issue.count, issue.example) for issue in issues.all] == [
        ("a.csv", 7, "row 3"),
        ("b.csv", 1, "row 1"),
    ]
    assert str(issues.all[0]) == "a.csv: 7 × unknown id, first row 3"
