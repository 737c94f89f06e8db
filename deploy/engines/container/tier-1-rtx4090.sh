#!/bin/sh
# Tier 1 in a container: as vllm/tier-1-rtx4090.sh, weights kept in a volume so that a restart does not fetch them again.
# gpu: RTX 4090
exec docker run --rm --gpus all --ipc host -p 8001:8001 -v models:/models -e HF_HOME=/models -e HF_TOKEN \
  vllm/vllm-openai:v0.29.0 --model Qwen/Qwen2.5-7B-Instruct \
  --served-model-name Qwen/Qwen2.5-7B-Instruct \
  --host 0.0.0.0 --port 8001 \
  --quantization fp8 --max-model-len 16384 --gpu-memory-utilization 0.90 --max-num-seqs 256 --max-num-queued-reqs 512 \
  --enable-prefix-caching --enable-prompt-tokens-details --enable-request-id-headers \
  --enable-auto-tool-choice --tool-call-parser hermes --shutdown-timeout 60
