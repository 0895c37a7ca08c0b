import threading

import pytest

from tfmmrec.serving.development_server.admission import Admission
from tfmmrec.serving.development_server.request_error import RequestError


def test_more_than_so_many_at_once_are_refused():
    admission = Admission(2)
    with admission.enter(), admission.enter():
        with pytest.raises(RequestError, match="2 requests are under way already; try again") as caught:
            with admission.enter():
                pass
        assert caught.value.code == "UNAVAILABLE"
    with admission.enter():
        pass
    assert (admission.num_answered, admission.num_refused) == (3, 1)


def test_draining_waits_for_those_inside():
    admission = Admission(2)
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with admission.enter():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    entered.wait(10)
    assert not admission.drain(0.01)
    with pytest.raises(RequestError, match="shutting down"):
        with admission.enter():
            pass
    leave.set()
    assert admission.drain(10)
    thread.join()


def test_an_error_inside_makes_room_again():
    admission = Admission(1)
    with pytest.raises(KeyError), admission.enter():
        raise KeyError
    with admission.enter():
        pass
