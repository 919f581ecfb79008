#!/bin/bash
# Starts Triton Inference Server on port 8000 of a GPU instance. The image has the AWS CLI, the NVIDIA driver, Docker and
# the NVIDIA container toolkit, as the AWS Deep Learning Base GPU AMI does; the instance profile may read the bucket.
set -euo pipefail

IMAGE=nvcr.io/nvidia/tritonserver:25.09-vllm-python-py3
MODELS=s3://my-models/triton/chat # a Triton model repository with the vLLM backend

systemctl enable --now docker
install -d /opt/models /opt/huggingface
aws s3 sync --no-progress "$MODELS" /opt/models
docker run --detach --name triton --restart always --gpus all --shm-size 2g \
  --publish 8000:8000 --publish 8001:8001 --volume /opt/models:/models:ro \
  --volume /opt/huggingface:/root/.cache/huggingface \
  "$IMAGE" tritonserver --model-repository /models
