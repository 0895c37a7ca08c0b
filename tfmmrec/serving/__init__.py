"""Serving: a run becomes a SavedModel that stock TensorFlow Serving loads, and an exported model is asked."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Answer": "answers",
        "EvaluationQueries": "evaluation_queries",
        "ExportedModel": "exported_model",
        "ListLengths": "inputs",
        "Policy": "policy",
        "Pushed": "push",
        "ServedModel": "signatures",
        "ServedRanker": "served_ranker",
        "answer": "answers",
        "bless": "blessing",
        "evaluate_exported": "exported_evaluation",
        "evaluation_queries": "evaluation_queries",
        "export_run": "export",
        "load_exported": "exported_model",
        "prune": "withdrawal",
        "push_index": "push_index",
        "push_model": "push",
        "push_run": "push",
        "read_evaluation": "evaluation_queries",
        "refresh_index": "refresh",
        "roll_back": "withdrawal",
    },
)
