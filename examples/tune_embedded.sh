#!/usr/bin/env bash
# The tuning of the embedded policy's settings: the same grid for both arms, on the held-out split `dev`, with one seed
# that no reported figure uses, on two of the policies that ship. Prints the final balanced accuracy of every setting.
# About 35 minutes on two cores.
set -euo pipefail
out=${1:-runs/tune}
mkdir -p "$out"
settings() {
  for policy in embedded embedded-1; do for arm in uniform error-weighted; do for pairs in 0 auto; do
    for step in 5e-5:constant:0 1e-4:constant:0 1e-4:cosine:0.1; do
      echo "$policy $arm $pairs ${step//:/ }"
    done
  done; done; done
}
run() {
  name="$1-$2-pairs$3-lr$4-$5"
  OMP_NUM_THREADS=1 saidpo --quiet --model "$1" --sampler "$2" --max-pairs "$3" --trainer.lr "$4" \
    --trainer.scheduler "$5" --trainer.warmup "$6" --seed 100 --pool.split dev --pool.held_out 40 --trainer.nll 0.5 \
    --generator.max_new_tokens 64 --trainer.batch_size 32 --trainer.micro_batch_size 32 --trainer.steps 30 \
    --run-dir "$out/$name" > "$out/$name.log"
  echo "$name $(grep 'balanced held-out' "$out/$name.log")"
}
export -f run
export out
settings | xargs -P "$(nproc)" -I{} bash -c 'run {}' | sort
