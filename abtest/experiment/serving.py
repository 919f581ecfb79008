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
    """What a model server does unless it is told otherwise, over HTTP/1.1."""

    port: int
    health_path: str
    source: str


PRESETS: Mapping[Server, Preset] = {
    "vllm": Preset(port=8000, health_path="/health", source="vLLM, OpenAI-Compatible Server"),
    "triton": Preset(port=8000, health_path="/v2/health/ready", source="Triton Inference Server, Quickstart"),
    "torchserve": Preset(port=8080, health_path="/ping", source="TorchServe, Inference API"),
    "tf-serving": Preset(
        port=8501, health_path="/v1/models/model", source="TensorFlow Serving, RESTful API; with Docker"
    ),
    "kserve-v2": Preset(port=8080, health_path="/v2/health/ready", source="KServe, Open Inference Protocol"),
    "mlflow": Preset(port=5000, health_path="/ping", source="MLflow, Deploy MLflow Model as a Local Inference Server"),
    "bentoml": Preset(port=3000, health_path="/readyz", source="BentoML, Services"),
    "ray-serve": Preset(port=8000, health_path="/-/healthz", source="Ray Serve, Monitor Your Application"),
    "sagemaker": Preset(
        port=8080, health_path="/ping", source="SageMaker guide, Custom Inference Code with Hosting Services"
    ),
}
