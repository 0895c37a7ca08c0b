"""Models: one paper, one file."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "LinearBlend": "linear_blend",
        "Multitask": "multitask",
        "RankingModel": "ranking_model",
        "Trainable": "trainable",
        "TwoTower": "two_tower",
    },
)
