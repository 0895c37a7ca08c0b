"""Asking a model server over gRPC; the messages of TensorFlow Serving are made of TensorFlow's and import it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfmmrec.serving.server_error import IS_IT_THERE, PORTS, ServerError, WrongAddress
from tfmmrec.serving.signature_info import SignatureInfo, read_metadata

_UNTRUSTED = re.compile("handshake|ssl|certificate", re.IGNORECASE)  # of a connection that never will be trusted
_NO_GRPC = re.compile("Failed parsing HTTP/2|http1")
_UNREACHABLE = re.compile("failed to connect|errors resolving|DNS resolution", re.IGNORECASE)
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # the client's own retries wait
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class GrpcTransport:
    """Sends requests by gRPC; any number of threads may share one.

    Args:
        target: HOST:PORT.
        model: its name.
        version: one version's number, None for the newest.
        label: of a version.
        secure: whether the connection is encrypted.
        root_certificates: a file of certificates that the server's own may be signed by; else those of gRPC.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(
        self,
        target: str,
        model: str,
        version: int | None = None,
        label: str | None = None,
        secure: bool = False,
        root_certificates: str | Path | None = None,
    ):
        self.address = f"{'grpcs' if secure else 'grpc'}://{target}/{model}"
        self._spec = {"name": model} | ({"version_label": label} if label else {})
        self._version = version
        if secure:
            roots = None if root_certificates is None else Path(root_certificates).read_bytes()
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, _OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], described: SignatureInfo, seconds: float
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: its name.
            inputs: every input `[batch, ...]`; strings as bytes.
            described: the signature.
            seconds: to answer in.

        Returns:
            Every output `[batch, ...]`; strings as bytes.

        Raises:
            ServerError: there is no answer.
        """
        request = self._addressed(predict_pb2.PredictRequest())
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            dtype = tf.string if array.dtype == object else tf.dtypes.as_dtype(array.dtype)
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array, dtype, array.shape))
        response = self._call(self._prediction.Predict, request, seconds)
        return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}

    def metadata(self, seconds: float) -> dict[str, SignatureInfo]:
        """The signatures.

        Raises:
            ServerError: there is no answer.
        """
        request = self._addressed(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]))
        response = self._call(self._prediction.GetModelMetadata, request, seconds)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        plain = MessageToDict(signatures, preserving_proto_field_name=True)
        return read_metadata({"metadata": {"signature_def": plain}})

    def status(self, seconds: float) -> dict[int, str]:
        """The states of the versions by number, such as AVAILABLE.

        Raises:
            ServerError: there is no answer.
        """
        request = self._addressed(get_model_status_pb2.GetModelStatusRequest())
        response = self._call(self._model.GetModelStatus, request, seconds)
        name = get_model_status_pb2.ModelVersionStatus.State.Name
        return {entry.version: name(entry.state) for entry in response.model_version_status}

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _addressed(self, request: Any) -> Any:
        for key, value in self._spec.items():
            setattr(request.model_spec, key, value)
        if self._version is not None:
            request.model_spec.version.value = self._version
        return request

    def _call(self, method: Callable[..., Any], request: Any, seconds: float) -> Any:
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            code, words = error.code().name, error.details() or "no words"
            if _NO_GRPC.search(words):
                words = f"what answers there does not speak gRPC; is it the port of REST? {PORTS}"
                raise WrongAddress(code, words, self.address) from error
            is_transient = code == "UNAVAILABLE" and not _UNTRUSTED.search(words)
            if _UNREACHABLE.search(words):
                words = f"{words}; {IS_IT_THERE}"
            raise ServerError(code, words, self.address, is_transient=is_transient) from error
