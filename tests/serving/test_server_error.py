from tfmmrec.serving.server_error import ServerError


def test_it_tells_where_what_and_in_whose_words():
    error = ServerError("INVALID_ARGUMENT", "no such input", "http://host/m")
    assert str(error) == "http://host/m: INVALID_ARGUMENT: no such input"
    assert (error.code, error.message, error.address) == ("INVALID_ARGUMENT", "no such input", "http://host/m")
    assert not error.is_transient
