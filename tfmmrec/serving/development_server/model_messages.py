"""What both protocols tell of a model: its signatures, and the states of its versions."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tfmmrec.serving.development_server.model_version import ModelVersion
from tfmmrec.serving.development_server.request_error import RequestError, invalid
from tfmmrec.serving.development_server.served_versions import ServedVersions

_FIELD = "signature_def"
_OK, _UNKNOWN = 0, 2  # of error.Code


def model_metadata(name: str, version: ModelVersion) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Every signature with its inputs, outputs and defaults."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, signature in version.signatures.items():
        signatures.signature_def[key].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version.number
    response.metadata[_FIELD].Pack(signatures)
    return response


def check_metadata_fields(fields: list[str]) -> None:
    """Refuses a metadata request for anything but `signature_def`.

    Raises:
        RequestError: another field, or none.
    """
    if not fields:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in fields:
        if field != _FIELD:
            raise invalid(f"Metadata field {field} is not supported")


def model_status(
    versions: ServedVersions, name: str, number: int | None, label: str | None
) -> get_model_status_pb2.GetModelStatusResponse:
    """The states of all versions, or of one.

    Raises:
        RequestError: there is no such model or version.
    """
    if label:
        raise invalid(f"Unrecognized servable version label: {label}")
    states = versions.states() if name == versions.name else []
    if number is not None:
        states = [state for state in states if state.number == number]
    if not states:
        what = f"version {number}" if number is not None else "any versions"
        raise RequestError("NOT_FOUND", f"Could not find {what} of model {name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for state in states:
        added = response.model_version_status.add(version=state.number)
        added.state = get_model_status_pb2.ModelVersionStatus.State.Value(state.state)
        added.status.error_code = _UNKNOWN if state.error else _OK
        added.status.error_message = state.error
    return response


def as_json(message: Any) -> dict[str, Any]:
    """A message as TensorFlow Serving's REST writes it: the fields' own names, those at their defaults too."""
    metadata = getattr(message, "metadata", None)
    if metadata is None:
        return _plain(message)
    unpacked = get_model_metadata_pb2.SignatureDefMap()
    metadata[_FIELD].Unpack(unpacked)
    return {"model_spec": _plain(message.model_spec), "metadata": {_FIELD: _plain(unpacked)}}


def _plain(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
