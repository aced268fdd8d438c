#!/usr/bin/env bash
# The README's comparison on two more policies, made by the same recipe with seeds 1 and 2. Prints a table for each.
# About 35 minutes on two cores, most of it for making the policies.
set -euo pipefail
settings=(--generator.max_new_tokens=64 --trainer.lr=1e-4 --trainer.nll=0.5 --trainer.batch_size=32
  --trainer.micro_batch_size=32 --trainer.steps=30 --trainer.scheduler=constant --trainer.warmup=0)
for seed in 1 2; do
  policy=runs/policy-$seed
  [ -d "$policy" ] || python -m saidpo_plugins.embedded.make_policy --seed "$seed" --out "$policy"
  saidpo compare --seeds 5 --arm-options error-weighted:--max-pairs=0 --out "runs/compare-policy-$seed" -- \
    --model "$policy" "${settings[@]}"
done
