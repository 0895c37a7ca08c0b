"""Losses: pure functions from logits or vectors to one value a row."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "MinedNegatives": "mined_negatives",
        "NegativeSampler": "negative_sampler",
        "StreamingFrequency": "streaming_frequency",
        "bpr": "bpr",
        "cumulative_popularity": "sampling",
        "full_softmax": "full_softmax",
        "hard_negatives": "negative_masks",
        "hinge": "hinge",
        "known_positives": "negative_masks",
        "log_inclusion_probability": "negatives",
        "log_union_probability": "sampling",
        "multinomial": "multinomial",
        "pointwise": "pointwise",
        "popularity_negatives": "sampling",
        "sampled_softmax": "sampled_softmax",
        "uniform_negatives": "sampling",
        "unique_across_replicas": "negatives",
    },
)
