#!/bin/sh
# Tier 3: 70B FP8 over two H100.
# gpu: H100 80 GB
# Checked by `pointsman plan engines deploy/engines/sglang/tier-3-h100x2.sh`. Why these flags: README.md beside this folder.
exec python -m sglang.launch_server --model-path RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic \
  --served-model-name meta-llama/Llama-3.3-70B-Instruct \
  --host 0.0.0.0 --port 8003 \
  --tp 2 \
  --context-length 32768 \
  --mem-fraction-static 0.88 \
  --max-running-requests 128 \
  --max-queued-requests 256 \
  --enable-metrics --enable-cache-report \
  --tool-call-parser llama3
