"""Alignment: the modalities of one candidate brought to agree, between encoders and fusion."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AdversarialAlignment": "adversarial",
        "ContrastiveAlignment": "contrastive",
        "ModalityConversion": "conversion",
        "SubspaceAlignment": "subspace",
    },
)
