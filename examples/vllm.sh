#!/bin/bash
# Starts vLLM on port 8000 of a GPU instance. The image has the NVIDIA driver, Docker and the NVIDIA container toolkit, as
# the AWS Deep Learning Base GPU AMI does; the instance reaches Docker Hub and Hugging Face.
set -euo pipefail

IMAGE=vllm/vllm-openai:v0.11.0
MODEL=Qwen/Qwen2.5-7B-Instruct # needs no token

systemctl enable --now docker
install -d /opt/huggingface
# Shared memory is for tensor parallelism.
docker run --detach --name vllm --restart always --gpus all --shm-size 2g \
  --publish 8000:8000 --volume /opt/huggingface:/root/.cache/huggingface \
  "$IMAGE" --model "$MODEL" --served-model-name chat --max-model-len 8192
