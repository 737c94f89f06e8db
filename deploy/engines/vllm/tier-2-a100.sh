#!/bin/sh
# Tier 2: 32B in 4 bits (AWQ) on one A100 80 GB: an A100 has no FP8 arithmetic.
# gpu: A100 80 GB
# Checked by `pointsman plan engines deploy/engines/vllm/tier-2-a100.sh`. Why these flags: README.md beside this folder.
exec vllm serve Qwen/Qwen2.5-32B-Instruct-AWQ \
  --served-model-name Qwen/Qwen2.5-32B-Instruct \
  --host 0.0.0.0 --port 8002 \
  --max-model-len 32768 \
  --gpu-memory-utilization 0.90 \
  --max-num-seqs 128 \
  --max-num-queued-reqs 256 \
  --enable-prefix-caching --enable-prompt-tokens-details --enable-request-id-headers \
  --enable-auto-tool-choice --tool-call-parser hermes \
  --shutdown-timeout 60
