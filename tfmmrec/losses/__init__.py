"""Losses: pure functions from logits or vectors to one value a row."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "StreamingFrequency": "streaming_frequency",
        "full_softmax": "full_softmax",
        "log_inclusion_probability": "negatives",
        "multinomial": "multinomial",
        "sampled_softmax": "sampled_softmax",
        "unique_across_replicas": "negatives",
    },
)
