"""A small model server for development, which speaks TensorFlow Serving's protocol on one machine.

It is for trying a model on a laptop and for tests: written in Python, without server-side batching, authentication or
encryption. In production run TensorFlow Serving itself on the same folder; clients need no change.
"""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "DevelopmentServer": "server",
        "RequestError": "request_error",
        "ServerOptions": "server",
    },
)
