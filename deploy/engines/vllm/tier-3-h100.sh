#!/bin/sh
# Tier 3: 70B FP8 on one H100: FP8 KV cache and 8k context, or it does not start.
# gpu: H100 80 GB
# Checked by `pointsman plan engines deploy/engines/vllm/tier-3-h100.sh`. Why these flags: README.md beside this folder.
exec vllm serve RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic \
  --served-model-name meta-llama/Llama-3.3-70B-Instruct \
  --host 0.0.0.0 --port 8003 \
  --kv-cache-dtype fp8 \
  --max-model-len 8192 \
  --gpu-memory-utilization 0.94 \
  --max-num-seqs 32 \
  --max-num-queued-reqs 64 \
  --enable-prefix-caching --enable-prompt-tokens-details --enable-request-id-headers \
  --enable-auto-tool-choice --tool-call-parser llama3_json \
  --shutdown-timeout 60
