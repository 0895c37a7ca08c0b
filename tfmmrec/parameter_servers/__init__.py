"""A training whose tables lie on parameter servers: what it can do, and what its processes do."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "begin_with": "plain_weights",
        "check_supported": "supported",
        "held_by_servers": "placement",
        "plain_copy": "plain_weights",
        "serve": "serving_process",
    },
)
