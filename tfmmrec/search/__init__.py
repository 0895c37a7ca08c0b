"""Search: from scores or candidates' vectors to the best candidates."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Admission": "admission",
        "CandidateParts": "candidate_parts",
        "CascadeScorer": "cascade",
        "Cells": "cells",
        "ContentSample": "content_sample",
        "ExactIndex": "exact",
        "FilterColumns": "filter_columns",
        "Filters": "filters",
        "IndexSettings": "index_settings",
        "InvertedFileIndex": "inverted_file",
        "PairScorer": "pair_scorer",
        "PoolScorer": "scorer",
        "QueryHistories": "query_histories",
        "Question": "question",
        "admission": "admission",
        "VectorsScorer": "scorer",
        "best_candidates": "filters",
        "build_index": "built_index",
        "by_cosines": "question",
        "by_products": "question",
        "capped_head": "capped_head",
        "cell_centers": "cell_centers",
        "choose_probes": "probes",
        "exact_head": "exact_head",
        "masked_top_k": "masked_top_k",
        "second_stage": "second_stage",
        "two_stage_top_k": "top_k",
        "vectors_scorer": "scorer",
    },
)
