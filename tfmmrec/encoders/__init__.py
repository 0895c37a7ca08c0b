"""Encoders: one modality of one side, from its raw value to a vector."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AudioEncoder": "audio",
        "CategoryEncoder": "category",
        "Encoder": "encoder",
        "FactorIdentifier": "factor_identifier",
        "HashedIdentifier": "hashed_identifier",
        "HistoryEncoder": "history",
        "IdentifierEncoder": "identifier",
        "ImageEncoder": "image",
        "NumberEncoder": "number",
        "PrecomputedEncoder": "precomputed",
        "QuotientRemainderIdentifier": "quotient_remainder_identifier",
        "SavedModelEncoder": "saved_model",
        "SequenceHistoryEncoder": "sequence_history",
        "TextEncoder": "text",
        "TpuIdentifier": "tpu_identifier",
        "VideoEncoder": "video",
        "VideoModelEncoder": "video_model",
        "VocabularyLookup": "vocabulary",
        "WaveformModelEncoder": "waveform_model",
    },
)
