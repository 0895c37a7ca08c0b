"""Self-supervised pretraining of encoders on a catalogue's contents, before any interaction."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "PretrainingOptions": "pretraining_options",
        "load_catalogue": "contents",
        "pretrain": "pretrain",
    },
)
