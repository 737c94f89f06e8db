#!/bin/sh
# Tier 3 XL: 72B FP8 on one H200. In 16 bits it leaves no room for KV cache on this card.
# gpu: H200 141 GB
# Checked by `pointsman plan engines deploy/engines/vllm/tier-3-xl-h200.sh`. Why these flags: README.md beside this folder.
exec vllm serve RedHatAI/Qwen2.5-72B-Instruct-FP8-dynamic \
  --served-model-name Qwen/Qwen2.5-72B-Instruct \
  --host 0.0.0.0 --port 8003 \
  --max-model-len 32768 \
  --gpu-memory-utilization 0.92 \
  --max-num-seqs 128 \
  --max-num-queued-reqs 256 \
  --enable-prefix-caching --enable-prompt-tokens-details --enable-request-id-headers \
  --enable-auto-tool-choice --tool-call-parser hermes \
  --shutdown-timeout 60
