"""Pretrained encoders, brought into the one form that models take: reusable SavedModels."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ExportRequest": "export_request",
        "read_card": "encoder_card",
        "run_export": "run_export",
    },
)
