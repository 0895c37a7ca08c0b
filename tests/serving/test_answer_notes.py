from types import SimpleNamespace

import pytest

from tfmmrec.schema import Feature
from tfmmrec.serving.answer_notes import filter_notes, unknown_excluded, unknown_values

MODEL = SimpleNamespace(
    rows_of=lambda ids: [0 if id == "a" else -1 for id in ids],
    absent_values=lambda values: [value for value in values if value.endswith("=polka")],
    knows_value=lambda side, name, value: value != "polka",
)


@pytest.mark.parametrize(
    ("wanted", "ids", "notes"),
    [
        ({}, [], []),
        ({"allow": ["genre=rock"], "min_score": 0.5}, ["a"], []),
        ({"min_score": 0.5}, [], ["passes min_score 0.5; change it, or leave it out"]),
        (
            {"allow": ["genre=rock", "genre=polka"], "deny": ["mood=sad"]},
            [],
            [
                "to be allowed or denied, but no candidate has it: genre=polka",
                "none that was found passes allow genre=rock, genre=polka and deny mood=sad; change one of these",
            ],
        ),
    ],
)
def test_filters_that_leave_nothing_are_named(wanted, ids, notes):
    found = filter_notes(MODEL, wanted, {"candidate_ids": ids})
    assert len(found) == len(notes) and all(part in note for part, note in zip(notes, found, strict=True))


def test_what_the_model_does_not_know_is_named():
    features = {"genre": Feature(kind="category", column="g", separator="|"), "title": Feature(kind="text", column="t")}
    inputs = {"candidate_genre": "rock| polka", "candidate_title": "polka"}
    assert unknown_values(MODEL, "candidate", inputs, features) == ["unknown to the model: genre=polka"]
    assert unknown_values(MODEL, "query", inputs, features) == []
    assert unknown_excluded(MODEL, ["a", "b"]) == ["to be excluded, but unknown to the model: b"]
    assert unknown_excluded(MODEL, ["a"]) == []
