import pytest

from tfmmrec.memory import available_bytes, check_memory
from tfmmrec.types import UsageError


def test_a_need_is_logged_and_granted_up_to_the_limit(caplog):
    with caplog.at_level("INFO", logger="tfmmrec"):
        check_memory("a table", 3_000_000, 3_000_000, "leave it out")
    assert "a table needs 3.0 MB of memory" in caplog.text


def test_too_large_a_need_is_refused_with_what_can_be_done():
    with pytest.raises(UsageError, match=r"^a table needs 3\.0 MB of memory, and max_bytes is 2\.0 MB; leave it out$"):
        check_memory("a table", 3_000_000, 2_000_000, "leave it out")


def test_without_a_limit_half_of_what_is_available_may_be_taken():
    check_memory("a table", available_bytes() // 4, None, "leave it out")
    with pytest.raises(UsageError, match="and half of what is available is"):
        check_memory("a table", available_bytes(), None, "leave it out")
