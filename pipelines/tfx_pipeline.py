"""A TFX pipeline from a dataset's folder to a pushed model. The one file that imports tfx; TFX 1.21, TensorFlow 2.21.

    python -m pipelines.tfx_pipeline DATASET --root ROOT --to saved_models/NAME [--model MODEL] [--set KEY=VALUE]

    ExampleGen → StatisticsGen → SchemaGen → ExampleValidator → Trainer → RetrievalEvaluation → Pusher

ExampleGen reads the interactions, of which `dataset.yaml` names the files; candidates, queries and pictures are read
from the folder by the Trainer (`run_fn.py`). RetrievalEvaluation holds the model against a policy and the one that was
blessed last, as `tfmmrec push` does, and Pusher publishes what is blessed. Before it InfraValidator asks TensorFlow
Serving, where Docker has its image or Kubernetes runs the pipeline; else it is left out, which is said, and
RetrievalEvaluation's own load in a fresh process stands alone.

`--runner local` runs it here (exit code 0: pushed, 1: refused). `--runner kubeflow` and `--runner vertex` write the
pipeline's specification to a file for these services; their containers need this folder on PYTHONPATH, tfmmrec, and
TF_USE_LEGACY_KERAS=1, and DATASET must be a path that they can read.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import tfmmrec  # noqa: F401  (before TensorFlow, which tfx imports)

# isort: split
from tfx import v1 as tfx
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.custom_executors import parquet_executor
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.utils.path_utils import serving_model_path

from pipelines.tfx_arguments import Splits, infra_of, parse_arguments, splits_of
from pipelines.tfx_blessing import EVALUATION, judge, properties
from tfmmrec.data.config import read_schema
from tfmmrec.types import DataError, UsageError

BEAM = [
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--direct_running_mode=in_memory",
    "--sdk_container_image=none",
]
"""Beam on this machine: without the runner that it would fetch, and without a copy of TFX for workers elsewhere."""
Model = tfx.types.standard_artifacts.Model


@tfx.dsl.components.component
def RetrievalEvaluation(
    model: tfx.dsl.components.InputArtifact[Model],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    evaluation: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    policy: tfx.dsl.components.Parameter[str] = "{}",
    baseline_model: tfx.dsl.components.InputArtifact[Model] = None,
):
    """Blesses a model that meets the policy, as JSON, and is not worse than the baseline; Pusher pushes no other."""
    baseline = None if baseline_model is None else serving_model_path(baseline_model.uri)
    found = judge(serving_model_path(model.uri), policy, blessing.uri, evaluation.uri, baseline)
    compared = None if baseline_model is None else (baseline_model.uri, baseline_model.id)
    for name, value in properties(found.passed, (model.uri, model.id), compared).items():
        kind = "int" if isinstance(value, int) else "string"
        getattr(blessing, f"set_{kind}_custom_property")(name, value)


def create_pipeline(
    dataset: str,
    root: str,
    push_to: str,
    *,
    name: str = "tfmmrec",
    config: str | None = None,
    custom_config: dict | None = None,
    num_steps: int | None = None,
    policy: str = "{}",
    schema_file: str | None = None,
    infra: str = "none",
    cache: bool = False,
    local: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline.

    Args:
        dataset: the dataset's folder.
        root: the folder of artifacts and, on this machine, of their metadata.
        push_to: the folder that gets versions, BASE/NAME of a model server.
        name: the pipeline's.
        config: another yaml than the folder's `dataset.yaml`.
        custom_config: of `run_fn`, beside the dataset.
        num_steps: of TrainArgs; None to train as the settings say.
        policy: as JSON, see `tfmmrec.serving.policy`.
        schema_file: a curated schema in the place of SchemaGen's.
        infra: "docker" or "kubernetes" for InfraValidator there, "none" to leave it out.
        cache: take results of earlier runs with the same inputs; changes of candidates and pictures are not noticed
            then, for TFX knows of the interactions only.
        local: runs on this machine, with its metadata in `root`.

    Raises:
        DataError: the dataset's description cannot be read.
        UsageError: a format or a split that no ExampleGen makes.
    """
    splits = splits_of(read_schema(dataset, config))
    example_gen = make_example_gen(dataset, splits)
    examples = example_gen.outputs["examples"]
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = (
        tfx.components.SchemaGen(statistics=statistics, infer_feature_shape=True)
        if schema_file is None
        else tfx.components.ImportSchemaGen(schema_file=schema_file)
    )
    schema = schema_gen.outputs["schema"]
    validator = tfx.components.ExampleValidator(statistics=statistics, schema=schema)
    trainer = tfx.components.Trainer(
        module_file=str(Path(__file__).with_name("run_fn.py")),
        examples=examples,
        schema=schema,
        train_args=tfx.proto.TrainArgs(splits=splits.train, num_steps=num_steps or 0),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config={"dataset": dataset, "config": config} | (custom_config or {}),
    )
    model = trainer.outputs["model"]
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model")
    evaluation = RetrievalEvaluation(model=model, baseline_model=resolver.outputs["model"], policy=policy)
    validators = [] if infra == "none" else [make_infra_validator(infra, model, examples)]
    pusher = tfx.components.Pusher(
        model=model,
        model_blessing=evaluation.outputs["blessing"],
        infra_blessing=validators[0].outputs["blessing"] if validators else None,
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=push_to)
        ),
    )
    nodes = [example_gen, statistics_gen, schema_gen, validator, trainer, resolver, evaluation, *validators, pusher]
    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(os.path.join(root, "metadata.sqlite"))
    return tfx.dsl.Pipeline(
        pipeline_name=name,
        pipeline_root=root,
        components=nodes,
        enable_cache=cache,
        beam_pipeline_args=BEAM if local else None,
        metadata_connection_config=metadata if local else None,
    )


def make_example_gen(dataset: str, splits: Splits):
    """The ExampleGen of a dataset's interactions.

    Args:
        dataset: the dataset's folder.
        splits: where they come from.
    """
    inputs = [tfx.proto.Input.Split(name=name, pattern=pattern) for name, pattern in splits.patterns.items()]
    drawn = [tfx.proto.SplitConfig.Split(name=name, hash_buckets=share) for name, share in splits.shares.items()]
    arguments = {
        "input_base": dataset,
        "input_config": tfx.proto.Input(splits=inputs),
        "output_config": tfx.proto.Output(split_config=tfx.proto.SplitConfig(splits=drawn)) if drawn else None,
    }
    if splits.kind == "parquet":
        return FileBasedExampleGen(custom_executor_spec=BeamExecutorSpec(parquet_executor.Executor), **arguments)
    return {"csv": tfx.components.CsvExampleGen, "tfrecord": tfx.components.ImportExampleGen}[splits.kind](**arguments)


def make_infra_validator(infra: str, model, examples):
    """TensorFlow Serving itself loads the model and answers Examples of the split `eval`.

    Args:
        infra: docker or kubernetes.
        model: Trainer's.
        examples: ExampleGen's.
    """
    platform = {
        "docker": {"local_docker": tfx.proto.LocalDockerConfig()},
        "kubernetes": {"kubernetes": tfx.proto.KubernetesConfig()},
    }[infra]
    return tfx.components.InfraValidator(
        model=model,
        examples=examples,
        serving_spec=tfx.proto.ServingSpec(tensorflow_serving=tfx.proto.TensorFlowServing(tags=["latest"]), **platform),
        request_spec=tfx.proto.RequestSpec(
            tensorflow_serving=tfx.proto.TensorFlowServingRequestSpec(signature_names=["recommend_examples"]),
            split_name="eval",
            num_examples=3,
        ),
    )


def write_specification(pipeline: tfx.dsl.Pipeline, runner: str, path: str, image: str | None = None) -> None:
    """Compiles a pipeline for a service, which gets the file; nothing is run.

    Args:
        pipeline: without cached nodes or metadata of this machine.
        runner: kubeflow (a yaml) or vertex (a JSON).
        path: the file.
        image: of the containers; TFX's own when None.

    Raises:
        UsageError: what compiles is not installed.
    """
    runners = tfx.orchestration.experimental
    if not hasattr(runners, "KubeflowV2DagRunner"):
        raise UsageError(f"--runner {runner} needs kfp-pipeline-spec beside TFX: pip install kfp-pipeline-spec")
    config = runners.KubeflowV2DagRunnerConfig(default_image=image, use_pipeline_spec_2_1=runner == "kubeflow")
    where = Path(path).absolute()
    runners.KubeflowV2DagRunner(config, str(where.parent), where.name).run(pipeline)


def run_here(pipeline: tfx.dsl.Pipeline, push_to: str) -> dict:
    """Runs a pipeline on this machine.

    Returns:
        `pushed`, the new `version`'s folder or None; the `evaluation`'s file, and of that the `checks` that fell short.
    """
    before = _versions(push_to)
    tfx.orchestration.LocalDagRunner().run(pipeline)
    new = sorted(_versions(push_to) - before, key=int)
    written = Path(pipeline.pipeline_info.pipeline_root).glob(
        f"{RetrievalEvaluation.__name__}/evaluation/*/{EVALUATION}"
    )
    evaluation = max(written, key=lambda path: int(path.parent.name))
    checks = json.loads(evaluation.read_text())["checks"]
    return {
        "pushed": bool(new),
        "version": os.path.join(push_to, new[-1]) if new else None,
        "evaluation": str(evaluation),
        "short": [check["says"] for check in checks if not check["passed"]],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0 where the model was pushed or the specification written, 1 where it was refused."""
    try:
        told = parse_arguments(arguments)
        infra, said = infra_of(told.infra, told.runner)
        print(said, file=sys.stderr)
        is_local = told.runner == "local"
        pipeline = create_pipeline(
            os.path.abspath(told.dataset) if is_local else told.dataset,
            os.path.abspath(told.root) if is_local else told.root,
            os.path.abspath(told.to) if is_local else told.to,
            name=told.name,
            config=told.config,
            custom_config=told.custom_config,
            num_steps=told.steps,
            policy=told.policy_json,
            schema_file=told.schema,
            infra=infra,
            cache=told.cache,
            local=is_local,
        )
        if is_local:
            found = run_here(pipeline, os.path.abspath(told.to))
        else:
            path = told.spec or {"kubeflow": "pipeline.yaml", "vertex": "pipeline.json"}[told.runner]
            write_specification(pipeline, told.runner, path, told.image)
            found = {"specification": path}
    except (DataError, UsageError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found))
    return 0 if found.get("pushed", True) else 1


def _versions(folder: str) -> set[str]:
    return {name for name in os.listdir(folder) if name.isdecimal()} if os.path.isdir(folder) else set()


if __name__ == "__main__":
    from pipelines import tfx_pipeline  # so that the component is found by its module's name, wherever it runs

    sys.exit(tfx_pipeline.main())
