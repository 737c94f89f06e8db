#!/bin/sh
# Tier 2: 32B in 4 bits (AWQ) on one A100 80 GB: an A100 has no FP8 arithmetic.
# gpu: A100 80 GB
# Checked by `pointsman plan engines deploy/engines/sglang/tier-2-a100.sh`. Why these flags: README.md beside this folder.
exec python -m sglang.launch_server --model-path Qwen/Qwen2.5-32B-Instruct-AWQ \
  --served-model-name Qwen/Qwen2.5-32B-Instruct \
  --host 0.0.0.0 --port 8002 \
  --context-length 32768 \
  --mem-fraction-static 0.85 \
  --max-running-requests 128 \
  --max-queued-requests 256 \
  --enable-metrics --enable-cache-report \
  --tool-call-parser qwen25
