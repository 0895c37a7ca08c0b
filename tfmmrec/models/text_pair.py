"""A ranking model that reads the texts of a query and of a candidate together (monoBERT, Nogueira & Cho 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfmmrec.data.statistics import FeatureStatistics, Statistics
from tfmmrec.encoders.encoder import Encoder
from tfmmrec.encoders.history_tokens import HistoryTokens
from tfmmrec.encoders.text_tokens import CharacterTokens, WordTable, WordTokens
from tfmmrec.fusion.joined_tokens import JoinedTokens
from tfmmrec.models.pair_readers import StringReader, WordReader
from tfmmrec.models.ranking_model import RankingModel
from tfmmrec.schema import Feature, Schema
from tfmmrec.towers import Tower
from tfmmrec.types import UsageError

_STRINGS_AT_ONCE = 256  # pairs that a pretrained encoder reads at a time outside of training


def build_text_pair(
    schema: Schema,
    statistics: Statistics,
    *,
    texts: tuple[str, ...] = (),
    history_titles: int = 5,
    dim: int = 64,
    num_layers: int = 1,
    num_heads: int = 2,
    hidden_dims: tuple[int, ...] = (),
    dropout: float = 0.0,
    history_dropout: float = 0.0,
    loss: str = "pointwise",
    num_negatives: int = 4,
    num_drawn: int = 256,
    max_words: int = 16,
    max_characters: int = 128,
    pretrained: Mapping[str, str] | None = None,
    pretrained_mode: str = "finetuned",
) -> RankingModel:
    """Builds a classifier of pairs of texts for a dataset: logit = head(encoder(both texts, [SEP] between them)).

    A candidate's text is that of its text features, a query's text is that of its own text features and then the texts
    of its newest past candidates. Ids and whatever else there is are not read. The towers give tokens and not vectors,
    as float32, padded with 0: a word is 1 + its place in the vocabulary, a character its code point. So a text is cut
    into tokens once for each candidate, and a history gathers tokens as others gather vectors.

    Without `pretrained` a small transformer over the words of all texts is trained from their latent semantics on, see
    `WordReader`. With it the SavedModel encodes the joined characters of both sides and is trained with the rest, see
    `StringReader`; such a training wants a learning rate near 2e-5.

    Args:
        schema: the dataset's description.
        statistics: what was counted of it.
        texts: text features of candidates, in the order in which they are read; all of them when empty.
        history_titles: how many of a query's newest past candidates are read.
        dim: size of a word's embedding.
        num_layers: blocks of the transformer over words.
        num_heads: of its attention; must divide `dim`.
        hidden_dims: hidden layers of the head.
        dropout: in the blocks and in the head.
        history_dropout: share of a history's entries left out in training.
        loss: pointwise or softmax, see `RankingModel`.
        num_negatives: of each interaction.
        num_drawn: candidates that a step draws for all its interactions.
        max_words: cap on the words read of one text.
        max_characters: cap on the characters read of one text by a pretrained encoder.
        pretrained: a text feature of candidates -> TF-Hub handle or directory of the SavedModel that reads the pairs,
            whichever texts they are of; more features must name the same one.
        pretrained_mode: finetuned or frozen, of that.

    Raises:
        UsageError: candidates without a text, queries without a history or a text, features that are no texts, or a
            number out of range.
    """
    names = _texts(schema.candidates.features, texts, pretrained)
    own = [name for name, feature in schema.queries.features.items() if feature.kind == "text"]
    if schema.queries.history is None and not own:
        raise UsageError(
            "text_pair makes a query's text of the texts in its history and of its own text features, this dataset has "
            "neither; describe a history or a text of queries in its config, or take ranker"
        )
    handle = _handle(pretrained, pretrained_mode)
    table = None
    if handle is None:
        table = _word_table([*(statistics.candidates[n] for n in names), *(statistics.queries[n] for n in own)], dim)

    def encoder(name: str, found: FeatureStatistics) -> Encoder:
        if table is None:
            return CharacterTokens(max_characters, name=name)
        return WordTokens(table, min(max_words, found.max_length), name=name)

    candidates = {name: encoder(name, statistics.candidates[name]) for name in names}
    queries = {name: encoder(name, statistics.queries[name]) for name in own}
    sizes = [sum(getattr(part, "max_words", 0) for part in side.values()) for side in (queries, candidates)]
    if schema.queries.history is not None:
        length = schema.queries.history.length
        num_texts = min(history_titles, length)
        queries["history"] = HistoryTokens(length, num_texts, history_dropout, name="history")
        sizes[0] += num_texts * sizes[1]
    use_bias = loss == "pointwise"
    if table is not None:
        scorer = WordReader(table, *sizes, num_layers, num_heads, dropout, hidden_dims, use_bias, name="scorer")
    else:
        from tfmmrec.encoders.saved_model import SavedModelEncoder  # imports tensorflow_hub: only for those who use it

        read_by = SavedModelEncoder(handle, "text", mode=pretrained_mode, name="encoder")
        scorer = StringReader(read_by, hidden_dims, dropout, use_bias, name="scorer")
    return RankingModel(
        Tower(queries, JoinedTokens(list(queries), name="fusion"), name="query_tower"),
        Tower(candidates, JoinedTokens(names, name="fusion"), name="candidate_tower"),
        scorer,
        num_candidates=statistics.num_candidates,
        candidate_counts=np.asarray(statistics.candidate_counts),
        loss=loss,
        num_negatives=num_negatives,
        num_drawn=num_drawn,
        pairs_at_once=None if table is not None else _STRINGS_AT_ONCE,
    )


def _texts(features: Mapping[str, Feature], wanted: Sequence[str], pretrained: Mapping[str, str] | None) -> list[str]:
    """Names of the candidates' texts that are read."""
    known = [name for name, feature in features.items() if feature.kind == "text"]
    if not known:
        raise UsageError(
            "text_pair reads texts of candidates, and this dataset has none: describe a feature of kind text in its "
            "config, or take ranker"
        )
    for name in [*wanted, *(pretrained or {})]:
        if name not in known:
            raise UsageError(f"text_pair: {name!r} is no text feature of candidates; there are {', '.join(known)}")
    if len(set(wanted)) < len(wanted):
        raise UsageError(f"text_pair: texts name each feature once, got {', '.join(wanted)}")
    return list(wanted) or known


def _handle(pretrained: Mapping[str, str] | None, mode: str) -> str | None:
    """The one encoder of pairs."""
    handles = sorted(set((pretrained or {}).values()))
    if len(handles) > 1:
        raise UsageError(f"text_pair: one encoder reads the whole pair, but pretrained names {' and '.join(handles)}")
    if handles and mode == "cached":
        raise UsageError(
            "text_pair: pairs are read in every step and cannot be cached: set pretrained_mode to finetuned or frozen"
        )
    return handles[0] if handles else None


def _word_table(counted: Sequence[FeatureStatistics], dim: int) -> WordTable:
    """All words of all texts; of a word that several have, the weight of the first."""
    weights: dict[str, float] = {}
    for found in counted:
        for word, weight in zip(found.vocabulary, found.idf, strict=True):
            weights.setdefault(word, weight)
    return WordTable(list(weights), dim, list(weights.values()), name="words")
