"""Every model by name: what builds it, the paper, what it needs, when to use it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from tfmmrec.models.bm3 import build_bm3
from tfmmrec.models.freedom import build_freedom
from tfmmrec.models.lattice import build_lattice
from tfmmrec.models.lightgcn import build_lightgcn
from tfmmrec.models.linear_blend import build_linear_blend
from tfmmrec.models.loss_choice import choose_loss
from tfmmrec.models.mmal import build_mmal
from tfmmrec.models.mmdfm import build_mmdfm
from tfmmrec.models.mmgcn import build_mmgcn
from tfmmrec.models.mult_dae import build_mult_dae
from tfmmrec.models.multimodal_graph import build_multimodal_graph
from tfmmrec.models.multitask import build_multitask
from tfmmrec.models.ranker import build_ranker
from tfmmrec.models.text_pair import build_text_pair
from tfmmrec.models.two_tower_builder import build_content_only, build_two_tower
from tfmmrec.models.vbpr import build_vbpr
from tfmmrec.types import UsageError


@dataclass(frozen=True)
class ZooEntry:
    """One model.

    Attributes:
        build: (schema, statistics, **hyperparameters) -> model.
        kind: retrieval or ranking.
        paper: the source.
        needs: what a dataset must have.
        when: a line on when to use it.
        training: training options that suit it, with its own loss or any that `losses` does not name.
        losses: loss -> training options that suit it better under that one.
    """

    build: Callable[..., Any]
    kind: Literal["retrieval", "ranking"]
    paper: str
    needs: str
    when: str
    training: dict[str, Any] = field(default_factory=dict)
    losses: dict[str, dict[str, Any]] = field(default_factory=dict)

    def training_of(self, hyperparameters: Mapping[str, Any], num_candidates: int = 0) -> dict[str, Any]:
        """The training options that suit the model with these hyperparameters, over so many candidates.

        The loss auto is another one over many of them, with rows that are interactions and no queries.
        """
        own = inspect.signature(self.build).parameters.get("loss")
        loss = hyperparameters.get("loss", "" if own is None else own.default)
        loss = choose_loss(loss, num_candidates, full="auto")
        return self.losses.get(loss, self.training)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What may be set of the model: name -> type."""
        fixed = getattr(self.build, "keywords", {})  # what this entry is made by
        types = get_type_hints(getattr(self.build, "func", self.build))
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: types[p.name] for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in fixed}


_TRAINING: dict[str, Any] = {
    "epochs": 150,
    "batch_size": 512,
    "learning_rate": 1e-2,
    "decay_steps": 600,
    "weight_decay": 0.1,
    "validate_every": 5,
    "patience": 2,
}

_PAIRWISE: dict[str, Any] = {  # of losses whose rows are interactions, many more steps an epoch
    "epochs": 100,
    "batch_size": 1024,
    "learning_rate": 2e-3,
    "weight_decay": 0.05,
    "patience": 5,
}

_OF_INTERACTIONS = dict.fromkeys(("sampled_softmax", "full_softmax", "bpr", "hinge"), _PAIRWISE)
_OF_QUERIES = dict.fromkeys(("auto", "multinomial"), _TRAINING)

_RANKING: dict[str, Any] = _PAIRWISE | {"validate_every": 2}

_GRAPH: dict[str, Any] = {  # a step goes over the whole graph: few of them, with large batches
    "epochs": 100,
    "batch_size": 2048,
    "learning_rate": 1e-2,
    "patience": 5,
}

ZOO: dict[str, ZooEntry] = {
    "two_tower": ZooEntry(
        build_two_tower,
        "retrieval",
        "Yi et al. 2019; Liang et al. 2018 (loss)",
        "interactions; uses whatever features and history there are",
        "the first choice: known and new candidates, known and new queries",
        _TRAINING,
        _OF_INTERACTIONS,
    ),
    "id_only": ZooEntry(
        partial(build_two_tower, content=False, query_features=False, history=False, query_id=True),
        "retrieval",
        "Yi et al. 2019",
        "interactions",
        "to see what content adds; knows nothing of new candidates or queries",
        _TRAINING,
        _OF_INTERACTIONS,
    ),
    "content_only": ZooEntry(
        build_content_only,
        "retrieval",
        "Yi et al. 2019",
        "features of candidates; history or features of queries",
        "catalogues that are new every day",
        _TRAINING,
        _OF_INTERACTIONS,
    ),
    "history_only": ZooEntry(
        partial(build_two_tower, content=False, query_id=False, query_features=False),
        "retrieval",
        "Liang et al. 2018",
        "interactions",
        "queries come and go, candidates stay; no content",
        _TRAINING,
        _OF_INTERACTIONS,
    ),
    "vbpr": ZooEntry(
        build_vbpr,
        "retrieval",
        "He & McAuley 2016",
        "interactions; features of candidates",
        "the usual multimodal baseline; new candidates by their content, but no new queries",
        _PAIRWISE,
        _OF_QUERIES,
    ),
    "mult_dae": ZooEntry(
        build_mult_dae,
        "retrieval",
        "Liang et al. 2018",
        "interactions; histories of queries; with content=true features of candidates",
        "histories say it all: a strong and quick baseline, for new queries too",
        _TRAINING,
    ),
    "lightgcn": ZooEntry(
        build_lightgcn,
        "retrieval",
        "He et al. 2020",
        "interactions",
        "few interactions each, and queries that come and go; content only finds new candidates their place",
        _GRAPH,
    ),
    "mmgcn": ZooEntry(
        build_mmgcn,
        "retrieval",
        "Wei et al. 2019",
        "interactions; texts, pictures, sounds, videos or vectors of candidates",
        "queries differ in what they like of each modality; costs a propagation for each of them",
        _GRAPH,
    ),
    "lattice": ZooEntry(
        build_lattice,
        "retrieval",
        "Zhang et al. 2021",
        "interactions; texts, pictures, sounds, videos or vectors of candidates",
        "as freedom, where it is to be learned which candidates are alike; slower",
        _GRAPH,
    ),
    "freedom": ZooEntry(
        build_freedom,
        "retrieval",
        "Zhou & Shen 2023",
        "interactions; texts, pictures, sounds, videos or vectors of candidates",
        "few interactions each, and content that says which candidates are alike",
        _GRAPH,
    ),
    "bm3": ZooEntry(
        build_bm3,
        "retrieval",
        "Zhou et al. 2023",
        "interactions; texts, pictures, sounds, videos or vectors of candidates",
        "large catalogues: it learns without negatives and without a graph of candidates",
        _GRAPH,
    ),
    "multitask": ZooEntry(
        build_multitask,
        "retrieval",
        "Kendall et al. 2018; Koren et al. 2009",
        "interactions; ratings, or tags or a category of candidates beside a text, a picture or a vector",
        "to predict ratings with the towers that retrieve, or to let tags and categories teach them",
        _PAIRWISE,
    ),
    "linear_blend": ZooEntry(
        build_linear_blend,
        "retrieval",
        "this library, with Steck 2020",
        "interactions; histories of queries; uses whatever features there are",
        "the best where queries have long histories; takes 32 bytes of memory for every pair of candidates",
        _TRAINING,
        _OF_INTERACTIONS,
    ),
    "multimodal_graph": ZooEntry(
        build_multimodal_graph,
        "retrieval",
        "this library, on He et al. 2020",
        "interactions; uses texts, pictures, sounds, videos and vectors of candidates",
        "few interactions each, and content beside them; learns without a step's own interactions in its graph",
        _GRAPH | {"learning_rate": 3e-3},
    ),
    "ranker": ZooEntry(
        build_ranker,
        "ranking",
        "Covington et al. 2016",
        "interactions; uses whatever features and history there are",
        "to order what a retrieval model has found; a network sees each pair",
        _RANKING,
    ),
    "mmdfm": ZooEntry(
        build_mmdfm,
        "ranking",
        "Guo et al. 2017",
        "interactions; uses whatever features and history there are",
        "a second stage in which every feature of the query meets every one of the candidate",
        _RANKING,
    ),
    "mmal": ZooEntry(
        build_mmal,
        "ranking",
        "Vaswani et al. 2017",
        "interactions; features of candidates",
        "a second stage in which the query says which modality of a candidate matters",
        _RANKING,
    ),
    "text_pair": ZooEntry(
        build_text_pair,
        "ranking",
        "Nogueira & Cho 2019",
        "interactions; texts of candidates; histories or texts of queries",
        "a second stage where words say it, read by a pretrained encoder of your own or a small one",
        _RANKING | {"epochs": 30, "batch_size": 256, "learning_rate": 1e-3},
    ),
}


def check_hyperparameters(model: str, given: Mapping[str, Any], options: Sequence[str] = ()) -> None:
    """Refuses what a model cannot be built with.

    Args:
        model: a name of the zoo.
        given: hyperparameters, name -> value.
        options: names that are not the model's but could have been meant.

    Raises:
        UsageError: no such model or hyperparameter, or a value of another type.
    """
    if model not in ZOO:
        near = difflib.get_close_matches(model, list(ZOO), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"model must be one of {', '.join(sorted(ZOO))}, got {model!r}{hint}")
    known = ZOO[model].hyperparameters
    for name, value in given.items():
        if name not in known:
            training = f"; its training has {', '.join(options)}" if options else ""
            hint = _where_else(name, [*known, *options])
            raise UsageError(f"{model} has no setting {name!r}{hint} {model} has {', '.join(known)}{training}")
        try:
            TypeAdapter(known[name]).validate_python(value)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"]
            is_one = isinstance(value, str | int | float) and get_origin(known[name]) is tuple
            problem = f"{problem[0].lower()}{problem[1:]}" + (f"; a list is written [{value}]" if is_one else "")
            raise UsageError(f"{name}={value!r} does not suit {model}: {problem}") from None


def _where_else(name: str, own: Sequence[str]) -> str:
    """What to say of a setting that is none of a model's own: who has it, or the nearest name."""
    if models := _with_setting(name):
        return f"; models that have it: {models}."
    everywhere = {*own, *(key for entry in ZOO.values() for key in entry.hyperparameters)}
    if not (near := difflib.get_close_matches(name, everywhere, n=1)):
        return "."
    return f"; did you mean {near[0]}{'' if near[0] in own else f' of {_with_setting(near[0])}'}?"


def _with_setting(name: str) -> str:
    return ", ".join(model for model, entry in ZOO.items() if name in entry.hyperparameters)
