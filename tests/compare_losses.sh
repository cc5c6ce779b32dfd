#!/bin/bash
# Whether two states of the code train alike, to the last bit: 20 steps of each recipe in examples/recipes, natively on the CPU.
#
#   tests/compare_losses.sh OLD NEW [RECIPE …]
#
# OLD and NEW are checkouts, which are built, or the finetune example built from one. Losses and gradient norms of all steps and
# evaluations are compared as they are written into metrics.jsonl. Exit code 1 where they differ.
set -euo pipefail
cd "$(dirname "$0")/.."

old=$1 new=$2
shift 2
models=${LORALET_CACHE:-$HOME/.cache/loralet}/models
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The path of the command that a checkout builds.
command_of() {
    if [ -d "$1" ]; then
        (cd "$1" && cargo build --quiet --example finetune)
        echo "${CARGO_TARGET_DIR:-$1/target}/debug/examples/finetune"
    else
        echo "$1"
    fi
}

# What a command computes with a recipe: recipe, model, sample.
figures() {
    "$1" --model "$3" --data "www/public/samples/$4" --recipe "examples/recipes/$2.json" --set train.max_steps=20 \
        --device cpu --out "$out/run" 2>"$out/said" || { cat "$out/said" >&2; return 1; }
    grep -oE '"(loss|grad_norm|probe_loss)":[^,}]*' "$out/run/metrics.jsonl"
}

# Two checkouts that share a target folder build the same file.
cp "$(command_of "$old")" "$out/old"
cp "$(command_of "$new")" "$out/new"

differ=0
while read -r recipe model sample; do
    if [ $# -gt 0 ] && [[ " $* " != *" $recipe "* ]]; then continue; fi
    if ! [ -d "$model" ]; then echo "$recipe: skipped, $model is missing (cargo xtask test fetches it)"; continue; fi
    for side in old new; do figures "$out/$side" "$recipe" "$model" "$sample" >"$out/$side.figures"; done
    if cmp -s "$out/old.figures" "$out/new.figures"; then
        echo "$recipe: $(wc -l <"$out/new.figures") figures, the same"
    else
        echo "$recipe: differs"
        diff "$out/old.figures" "$out/new.figures" | head -4
        differ=1
    fi
done <<RUNS
text www/public/models/tiny tiny-letters.jsonl
sft www/public/models/tiny tiny-duck.jsonl
dpo www/public/models/tiny tiny-kindness.jsonl
ipo www/public/models/tiny tiny-kindness.jsonl
orpo www/public/models/tiny tiny-kindness.jsonl
kto www/public/models/tiny tiny-rated.jsonl
reward www/public/models/tiny tiny-kindness.jsonl
grpo www/public/models/tiny tiny-brief.jsonl
classify www/public/models/tiny tiny-moods.jsonl
contrastive $models/minilm harbour-slang.jsonl
RUNS
exit $differ
