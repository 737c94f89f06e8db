#!/bin/sh
# Tier 1 on a slice: 7B FP8 on half an H100 (MIG 3g.40gb).
# gpu: H100 MIG 3g.40gb
# Checked by `pointsman plan engines deploy/engines/vllm/tier-1-mig-3g40gb.sh`. Why these flags: README.md beside this folder.
exec vllm serve Qwen/Qwen2.5-7B-Instruct \
  --served-model-name Qwen/Qwen2.5-7B-Instruct \
  --host 0.0.0.0 --port 8001 \
  --quantization fp8 \
  --max-model-len 16384 \
  --gpu-memory-utilization 0.90 \
  --max-num-seqs 256 \
  --max-num-queued-reqs 512 \
  --enable-prefix-caching --enable-prompt-tokens-details --enable-request-id-headers \
  --enable-auto-tool-choice --tool-call-parser hermes \
  --shutdown-timeout 60
