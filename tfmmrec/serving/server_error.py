"""What a server says when it does not answer."""

from __future__ import annotations

from tfmmrec.types import UsageError

PORTS = "REST is usually at port 8501, gRPC at 8500"
IS_IT_THERE = f"is the server running (`tfmmrec serve BASE/NAME`), and is this its port? {PORTS}"
"""What to look at where nothing answers."""
LOADING = "is being loaded"
"""What the development server says of a version that is on its way; a stock server does not listen before."""


class ServerError(RuntimeError):
    """A request that a server did not answer.

    Args:
        code: the name of a gRPC status code, such as INVALID_ARGUMENT; over HTTP the one that says the same.
        message: the server's own words, or what happened on the way to it.
        address: of the server.
        is_transient: whether the same request may be answered a moment later.

    Attributes:
        code, message, address, is_transient: as given.
    """

    def __init__(self, code: str, message: str, address: str, is_transient: bool = False):
        super().__init__(f"{address}: {code}: {message}")
        self.code = code
        self.message = message
        self.address = address
        self.is_transient = is_transient

    @property
    def is_loading(self) -> bool:
        """Whether the server is there and will answer as soon as it has loaded a version."""
        return self.code == "UNAVAILABLE" and LOADING in self.message


class WrongAddress(ServerError, UsageError):
    """Something answers at an address, but not the model that was asked for; asking again will not help."""
