#!/bin/sh
# Tier 3: 70B FP8 over two H100: full 32k context, 16-bit KV cache.
# gpu: H100 80 GB
# Checked by `pointsman plan engines deploy/engines/vllm/tier-3-h100x2.sh`. Why these flags: README.md beside this folder.
exec vllm serve RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic \
  --served-model-name meta-llama/Llama-3.3-70B-Instruct \
  --host 0.0.0.0 --port 8003 \
  --tensor-parallel-size 2 \
  --max-model-len 32768 \
  --gpu-memory-utilization 0.92 \
  --max-num-seqs 128 \
  --max-num-queued-reqs 256 \
  --enable-prefix-caching --enable-prompt-tokens-details --enable-request-id-headers \
  --enable-auto-tool-choice --tool-call-parser llama3_json \
  --shutdown-timeout 60
