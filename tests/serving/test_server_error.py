from tfmmrec.serving.server_error import ServerError, WrongAddress
from tfmmrec.types import UsageError


def test_it_tells_where_what_and_in_whose_words():
    error = ServerError("INVALID_ARGUMENT", "no such input", "http://host/m")
    assert str(error) == "http://host/m: INVALID_ARGUMENT: no such input"
    assert (error.code, error.message, error.address) == ("INVALID_ARGUMENT", "no such input", "http://host/m")
    assert not error.is_transient and not error.is_loading
    assert ServerError("UNAVAILABLE", "version 1 of shop is being loaded; try again", "a", True).is_loading


def test_a_wrong_address_is_a_mistake_of_whoever_gives_it():
    error = WrongAddress("NOT_FOUND", "no such model", "http://host/m")
    assert isinstance(error, ServerError) and isinstance(error, UsageError)
    assert str(error) == "http://host/m: NOT_FOUND: no such model" and error.code == "NOT_FOUND"
