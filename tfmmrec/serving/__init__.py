"""Serving: a run becomes a SavedModel that stock TensorFlow Serving loads, and an exported model is asked."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Answer": "answers",
        "ExportedModel": "exported_model",
        "ListLengths": "inputs",
        "ServedModel": "signatures",
        "ServedRanker": "served_ranker",
        "answer": "answers",
        "export_run": "export",
        "load_exported": "exported_model",
    },
)
