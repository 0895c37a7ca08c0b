"""What a client is told of a request that fails: a code of gRPC's, its HTTP status, and words without a traceback."""

from __future__ import annotations

import re

# As TensorFlow Serving maps them (model_servers/http_server.cc, ToHTTPStatusCode).
HTTP_STATUS = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
_NUMBERS = dict(
    enumerate(
        (
            "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
            "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
            "UNAUTHENTICATED"
        ).split()
    )
)
_WHERE = re.compile(r"\s*\[\[\{\{node |\n\s*(?:Original stack trace|Detected at node|\d+ root error)|\n\n")
_LONGEST = 2_000


class RequestError(Exception):
    """A request that is not answered.

    Args:
        code: the name of one of gRPC's status codes.
        message: for the client.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message[:_LONGEST].encode("utf-8", "replace").decode()  # half a surrogate pair is no text

    @property
    def http_status(self) -> int:
        """The status that says the same over HTTP."""
        return HTTP_STATUS[self.code]


def invalid(message: str) -> RequestError:
    """The error of a request that is at fault itself."""
    return RequestError("INVALID_ARGUMENT", message)


def from_tensorflow(error: Exception) -> RequestError:
    """What a client is told of an error in the graph.

    Args:
        error: a `tf.errors.OpError`, or what Python raises where a value has no tensor.

    Returns:
        The error's own code and its first paragraph: what follows are names of nodes and places in our code.
    """
    number = getattr(error, "error_code", None)
    message = getattr(error, "message", None) or str(error)
    message = message.removeprefix("Graph execution error:").strip()
    code = "INVALID_ARGUMENT" if number is None else _NUMBERS.get(number, "UNKNOWN")
    return RequestError(code, _WHERE.split(message)[0].strip() or "the graph failed")
