"""The gRPC side: PredictionService with Predict and GetModelMetadata, ModelService with GetModelStatus."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tfmmrec.serving.development_server.admission import Admission
from tfmmrec.serving.development_server.model_messages import check_metadata_fields, model_metadata, model_status
from tfmmrec.serving.development_server.predict import predict
from tfmmrec.serving.development_server.request_error import RequestError, invalid
from tfmmrec.serving.development_server.served_versions import ServedVersions

_LOG = logging.getLogger(__name__)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers predict requests, and tells the signatures.

    Args:
        versions: of the model.
        admission: how many requests at once.
        max_batch_size: rows that a request may have.
    """

    def __init__(self, versions: ServedVersions, admission: Admission, max_batch_size: int):
        self._versions = versions
        self._admission = admission
        self._max_batch_size = max_batch_size

    def Predict(self, request, context):  # noqa: N802
        """PredictRequest -> PredictResponse."""

        def answer():
            with self._admission.enter(), self._versions.lease(*model_asked(request.model_spec)) as version:
                return predict(version, request, self._max_batch_size)

        return _answered(context, answer)

    def GetModelMetadata(self, request, context):  # noqa: N802
        """GetModelMetadataRequest -> GetModelMetadataResponse."""

        def answer():
            name, number, label = model_asked(request.model_spec)
            check_metadata_fields(list(request.metadata_field))
            with self._versions.lease(name, number, label) as version:
                return model_metadata(name, version)

        return _answered(context, answer)

    def Classify(self, request, context):  # noqa: N802
        """Not for these models."""
        _refuse(context, "Classify")

    def Regress(self, request, context):  # noqa: N802
        """Not for these models."""
        _refuse(context, "Regress")

    def MultiInference(self, request, context):  # noqa: N802
        """Not for these models."""
        _refuse(context, "MultiInference")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Tells the states of the versions.

    Args:
        versions: of the model.
    """

    def __init__(self, versions: ServedVersions):
        self._versions = versions

    def GetModelStatus(self, request, context):  # noqa: N802
        """GetModelStatusRequest -> GetModelStatusResponse."""
        return _answered(context, lambda: model_status(self._versions, *model_asked(request.model_spec)))

    def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        """Not in this server: it serves one folder."""
        _refuse(context, "HandleReloadConfigRequest")


def model_asked(spec: Any) -> tuple[str, int | None, str | None]:
    """The name, version and label of a ModelSpec.

    Raises:
        RequestError: it names no model.
    """
    if not spec.name:
        raise invalid("Missing ModelSpec.name" if spec.ByteSize() else "Missing ModelSpec")
    number = spec.version.value if spec.HasField("version") else None
    return spec.name, number, spec.version_label or None


def _answered(context: Any, answer: Callable[[], Any]) -> Any:
    try:
        return answer()
    except RequestError as error:
        code, message = error.code, error.message
    except Exception:
        _LOG.exception("a request failed")
        code, message = "INTERNAL", "the server failed; its log says more"
    context.abort(getattr(grpc.StatusCode, code), message)


def _refuse(context: Any, method: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the development server has no {method}")
