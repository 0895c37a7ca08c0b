"""Keras callbacks of a training."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Keeper": "keeper",
        "MineNegatives": "mine_negatives",
        "ProgressBar": "progress_bar",
        "ProgressByEpoch": "by_epoch",
        "RefreshByEpoch": "by_epoch",
        "RefreshHistory": "refresh_history",
        "Settle": "settle",
        "Validation": "validation",
    },
)
