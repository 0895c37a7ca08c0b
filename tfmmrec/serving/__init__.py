"""Serving: a run becomes a SavedModel that stock TensorFlow Serving loads, and an exported model is asked."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Answer": "answers",
        "EvaluationQueries": "evaluation_queries",
        "ExportedModel": "exported_model",
        "ListLengths": "inputs",
        "ServedModel": "signatures",
        "ServedRanker": "served_ranker",
        "answer": "answers",
        "evaluate_exported": "exported_evaluation",
        "evaluation_queries": "evaluation_queries",
        "export_run": "export",
        "load_exported": "exported_model",
        "push_index": "push_index",
        "read_evaluation": "evaluation_queries",
        "refresh_index": "refresh",
    },
)
