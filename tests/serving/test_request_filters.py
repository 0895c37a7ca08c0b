import pytest

from tfmmrec.schema import Feature
from tfmmrec.search.limits import MAX_FEATURES
from tfmmrec.serving.request_filters import FILTERS, check_filters, filter_features, takes_filters
from tfmmrec.types import UsageError

FEATURES = ["category", "colour", "brand"]


def test_their_names_are_those_of_the_signatures():
    from tfmmrec.serving.inputs import ListLengths, request_inputs

    assert set(FILTERS) == set(request_inputs(ListLengths()))


def test_which_signatures_find_candidates():
    assert takes_filters(["query_id", *FILTERS]) and not takes_filters(["query_id", *FILTERS[1:]])


def test_categories_come_first_and_no_more_than_a_graph_has_bits_for():
    kinds = {"name": "text", "maker": "identifier", "colour": "category", "price": "number", "type": "category"}
    assert filter_features({name: Feature(kind=kind) for name, kind in kinds.items()}) == ["colour", "type", "maker"]
    assert len(filter_features({f"f{i}": Feature(kind="category") for i in range(40)})) == MAX_FEATURES


RIGHT = [
    {},
    {"k": 1, "allow": [], "deny": [""]},
    {"k": 1000, "allow": ["category=cups", b"colour=red", "brand=a=b"], "deny": "colour=blue"},
    {"k": "ten", "allow": [3], "deny": 3},  # of another type: that is told where all inputs' types are
]


@pytest.mark.parametrize("given", RIGHT, ids=str)
def test_what_may_be_asked(given):
    check_filters(given, FEATURES)


WRONG = [
    ({"k": 0}, "k must lie in 1 to 1000, got 0"),
    ({"k": -1}, "k must lie in 1 to 1000, got -1"),
    ({"k": 1001}, "k must lie in 1 to 1000, got 1001"),
    ({"k": float("nan")}, "k must lie in 1 to 1000, got nan"),
    ({"allow": ["cups"]}, "allow takes feature=value, such as category=VALUE; got 'cups'"),
    ({"deny": "=cups"}, "deny takes feature=value, such as category=VALUE; got '=cups'"),
    ({"deny": [b"category="]}, "deny takes feature=value, such as category=VALUE; got 'category='"),
    (
        {"deny": ["colour=red", "categroy=cups"]},
        "deny: candidates cannot be filtered by 'categroy', only by category, colour, brand; did you mean 'category'?",
    ),
    ({"allow": ["price=9.19"]}, "allow: candidates cannot be filtered by 'price', only by category, colour, brand"),
]


@pytest.mark.parametrize(("given", "words"), WRONG, ids=str)
def test_what_may_not(given, words):
    with pytest.raises(UsageError) as caught:
        check_filters(given, FEATURES)
    assert str(caught.value) == words


def test_a_server_does_not_tell_which_strings_are_categories():
    with pytest.raises(UsageError, match="'x', only by the categories and identifiers among brand, title$"):
        check_filters({"allow": ["x=y"]}, ["brand", "title"], is_certain=False)
    with pytest.raises(UsageError, match="by 'x': they have no category and no identifier$"):
        check_filters({"allow": ["x=y"]}, [])
