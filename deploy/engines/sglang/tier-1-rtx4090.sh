#!/bin/sh
# Tier 1: 7B, FP8 weights made while loading, on one RTX 4090.
# gpu: RTX 4090
# Checked by `pointsman plan engines deploy/engines/sglang/tier-1-rtx4090.sh`. Why these flags: README.md beside this folder.
exec python -m sglang.launch_server --model-path Qwen/Qwen2.5-7B-Instruct \
  --served-model-name Qwen/Qwen2.5-7B-Instruct \
  --host 0.0.0.0 --port 8001 \
  --quantization fp8 \
  --context-length 16384 \
  --mem-fraction-static 0.80 \
  --chunked-prefill-size 4096 \
  --max-running-requests 256 \
  --max-queued-requests 512 \
  --enable-metrics --enable-cache-report \
  --tool-call-parser qwen25
