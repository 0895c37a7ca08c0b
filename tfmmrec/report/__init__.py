"""The report of an evaluation: metrics, plots and pictures in one HTML file."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "write_report": "page",
    },
)
