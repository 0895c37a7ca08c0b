"""Imports go down, never up; what stands on one floor does not know its siblings."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import (
    PACKAGE,
    ROOT,
    imported_modules,
    package_modules,
    project_files,
    room_of,
)

FLOORS = (
    ("_lazy", "types"),
    ("cluster", "schema", "memory", "staging"),
    (
        "layerwise_adam",
        "linear_autoencoder",
        "masked_attention",
        "neighbors",
        "numerics",
        "randomness",
        "replicas",
        "run_config",
        "sharded_tables",
        "singular_vectors",
        "sparse_graph",
        "static_shapes",
    ),
    ("data",),
    ("encoders", "fusion", "alignment", "losses", "metrics"),
    ("stored_encoding", "towers"),
    ("models",),
    ("transfer", "zoo", "search"),
    ("evaluation", "baselines", "embedding"),
    (
        "baseline_evaluation",
        "bulk_embedding",
        "collaborative",
        "latent_semantics",
        "run_lock",
        "runs",
        "strategies",
        "training_options",
        "workers",
    ),
    ("catalogue_shards", "model_settings"),
    ("callbacks", "optimizers", "parameter_servers", "preparation", "pretrained", "task_evaluation"),
    ("fitting",),
    ("pretraining", "training"),
    ("serving", "report"),
    ("run_evaluation",),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}

# Libraries that only some rooms may import.
CONFINED = {
    "tensorflow_recommenders": {"models", "search", "encoders"},
    "keras": {"pretrained"},
    "keras_hub": {"pretrained"},
    "keras_nlp": {"pretrained"},
    "tf_keras": set(),  # it is tf.keras
    "tfx": set(),
    "apache_beam": set(),
}
MODULES = [module for module in package_modules() if module.as_posix() != "__init__.py"]


def test_imports_go_down():
    for module in MODULES:
        room = room_of(module)
        assert room in FLOOR_OF, f"tfmmrec/{module} stands on no floor; give {room!r} one in FLOORS"
        for name in imported_modules(PACKAGE / module):
            other = name.split(".")[1] if name.startswith("tfmmrec.") else None
            if other is None or other == room or other not in FLOOR_OF:
                continue  # `from tfmmrec import __version__` asks for no room
            assert FLOOR_OF[other] < FLOOR_OF[room], (
                f"tfmmrec/{module} imports {name}: floor {FLOOR_OF[room]} ({room}) may import only what is "
                f"below it, and {other} is on floor {FLOOR_OF[other]}"
            )


@pytest.mark.parametrize("library", CONFINED)
def test_a_confined_library_is_imported_in_its_rooms_only(library):
    rooms = {room_of(module) for module in MODULES if _imports(PACKAGE / module, library)}
    assert rooms <= CONFINED[library], f"{library} is imported in {sorted(rooms - CONFINED[library])}"


def test_no_model_imports_another():
    models = {path.stem for path in (PACKAGE / "models").glob("*.py") if _defines_model(path)}
    for model in models:
        imported = imported_modules(PACKAGE / "models" / f"{model}.py")
        others = {name.split(".")[2] for name in imported if name.startswith("tfmmrec.models.")}
        assert not others & models - {model}, f"tfmmrec/models/{model}.py imports {others & models}"


def test_the_package_imports_nothing_that_is_built_on_it():
    for module in MODULES:
        for room in ("tests", "pipelines", "benchmarks", "colab"):
            assert not _imports(PACKAGE / module, room), f"tfmmrec/{module} imports {room}"


def test_only_one_pipeline_imports_tfx():
    importing = {str(path.relative_to(ROOT)) for path in project_files(".py") if _imports(path, "tfx")}
    assert importing <= {"pipelines/tfx_pipeline.py"}


def _imports(path, library: str) -> bool:
    return any(name == library or name.startswith(f"{library}.") for name in imported_modules(path))


def _defines_model(path) -> bool:
    classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    return any(ast.unparse(base).split(".")[-1] == "Trainable" for node in classes for base in node.bases)
