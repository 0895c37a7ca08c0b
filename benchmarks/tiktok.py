"""Models of the zoo on TikTok with its pictures' and sounds' vectors, beside EASE and published numbers.

    python benchmarks/tiktok.py FOLDER --json tiktok.json --markdown tiktok.md

FOLDER holds train.parquet, valid.parquet, test.parquet (user_id, item_id) and image_feat.npy and audio_feat.npy
[6710, 128], rows in the order of the ids (HKUDS/DiffMM's copy). The epoch is chosen on the validation part, then the
model is taken as it was at that epoch; seeds change the weights and the batches. The published rows had text vectors
too, and most of them the epoch chosen on the test part: they are printed beside ours, not against them.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import quality
import yaml

CONFIG = yaml.safe_load("""
interactions: {train: train.parquet, valid: valid.parquet, test: test.parquet, query: user_id, candidate: item_id}
candidates:
  ids: {range: 6710}
  features:
    image: {kind: vector, path: image_feat.npy}
    audio: {kind: vector, path: audio_feat.npy}
queries:
  history: {length: 50}
""")
MODELS = [
    "multimodal_graph",
    "linear_blend",
    "two_tower",
    "id_only",
    "content_only",
    "history_only",
    "mult_dae",
    "mult_dae:content=true",
    *(
        f"{model}{own}"
        for model, loss in {
            "vbpr": "multinomial",
            "lightgcn": "full_softmax",
            "mmgcn": "full_softmax",
            "lattice": "full_softmax",
            "bm3": "full_softmax",
            "freedom": "full_softmax",
        }.items()
        for own in ("", f":loss={loss}")  # the paper's own, and one of this library's
    ),
]
PUBLISHED = {
    "LightGCN": (0.0653, 0.0282),
    "VBPR": (0.0380, 0.0134),
    "MMGCN": (0.0730, 0.0307),
    "LATTICE": (0.0843, 0.0367),
    "BM3": (0.0957, 0.0404),
    "DiffMM": (0.1129, 0.0456),
    "MMHCL (epoch by validation)": (0.1139, 0.0492),
    "MDMNS (512-d)": (0.1193, 0.0525),
}
"""Recall@20 and NDCG@20 on this split, as printed by their authors or by later papers."""


def main() -> None:
    """Runs the benchmark and prints what it found."""
    options = quality.arguments(__doc__.splitlines()[0], models=",".join(MODELS))
    arguments = options.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    rows = quality.measure(
        lambda seed: quality.dataset_of(arguments.folder, CONFIG), arguments.models, seeds, keep=arguments.keep
    )
    quality.report({"TikTok, all candidates": rows}, seeds, arguments, PUBLISHED)


if __name__ == "__main__":
    main()
