"""Serving: a run becomes a SavedModel that stock TensorFlow Serving loads, and an exported model is asked, here or on
a server."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Answer": "answers",
        "Client": "client",
        "EvaluationQueries": "evaluation_queries",
        "ExportedModel": "exported_model",
        "ListLengths": "inputs",
        "Policy": "policy",
        "Pushed": "push",
        "Retries": "retries",
        "ServedModel": "signatures",
        "ServedRanker": "served_ranker",
        "ServerError": "server_error",
        "WrongAddress": "server_error",
        "answer": "answers",
        "bless": "blessing",
        "connect": "client",
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
