"""Model servers whose port and health path are documented: what a variant need not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

__all__ = ["PRESETS", "Preset", "Server"]

Server = Literal[
    "vllm", "triton", "torchserve", "tf-serving", "kserve-v2", "mlflow", "bentoml", "ray-serve", "sagemaker"
]


class Preset(Struct, frozen=True, kw_only=True):
    """What a model server does unless it is told otherwise: its port and health path for HTTP/1.1, and its port for
    gRPC where one is documented. ``streams``: it can stream an answer, such as the tokens of a language model.

    gRPC servers have no health path here: a load balancer sees the status of a call alone, and the standard health
    service answers OK also when it says NOT_SERVING (gRPC, "GRPC Health Checking Protocol").
    """

    port: int
    health_path: str
    grpc_port: int | None = None
    streams: bool = False
    source: str


PRESETS: Mapping[Server, Preset] = {
    "vllm": Preset(port=8000, health_path="/health", streams=True, source="vLLM, Using Kubernetes"),
    "triton": Preset(
        port=8000,
        health_path="/v2/health/ready",
        grpc_port=8001,
        streams=True,
        source="Triton Inference Server, Quickstart",
    ),
    "torchserve": Preset(
        port=8080,
        health_path="/ping",
        grpc_port=7070,
        streams=True,
        source="TorchServe, Inference API; TorchServe gRPC API",
    ),
    # The image's default for MODEL_NAME is "model". The status answers 200 as soon as the model is known.
    "tf-serving": Preset(
        port=8501,
        health_path="/v1/models/model",
        grpc_port=8500,
        source="TensorFlow Serving, RESTful API, Model status; Dockerfile of tensorflow/serving",
    ),
    "kserve-v2": Preset(
        port=8080,
        health_path="/v2/health/ready",
        grpc_port=8081,
        source="KServe, Open Inference Protocol, Server Ready; kserve.ModelServer",
    ),
    "mlflow": Preset(port=5000, health_path="/ping", source="MLflow, Deploy MLflow Model as a Local Inference Server"),
    "bentoml": Preset(
        port=3000, health_path="/readyz", streams=True, source="BentoML, bentoml serve; routes of its BaseAppFactory"
    ),
    "ray-serve": Preset(
        port=8000,
        health_path="/-/healthz",
        grpc_port=9000,
        streams=True,
        source="Ray Serve, Deploy on Kubernetes; Set Up a gRPC Service",
    ),
    "sagemaker": Preset(
        port=8080, health_path="/ping", source="SageMaker guide, Custom Inference Code with Hosting Services"
    ),
}
