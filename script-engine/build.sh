#!/bin/sh
# Builds the script engine: build.sh OUTPUT [TARGET_DIR]. The same sources, lock file and compiler give the same bytes on
# every machine, so anybody can check that the committed script-engine.wasm is what the sources say.
set -eu
output=${1:?usage: build.sh OUTPUT [TARGET_DIR]}
here=$(cd "$(dirname "$0")" && pwd)
target_dir=${2:-$here/target}
cd "$here"
cargo fetch --locked --target wasm32-unknown-unknown
# Panic messages name source files; the names must not depend on the machine.
flags="-C link-arg=--max-memory=67108864 -C link-arg=-zstack-size=4194304 --remap-path-prefix=$here=/script-engine"
for crates in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
  flags="$flags --remap-path-prefix=$crates=/crates"
done
# ahash bakes a seed into the program, by default a random one. Limits on operations bound what a script gains by
# knowing it.
CONST_RANDOM_SEED=flotilla RUSTFLAGS=$flags CARGO_INCREMENTAL=0 \
  cargo build --locked --release --target wasm32-unknown-unknown --target-dir "$target_dir"
cp "$target_dir/wasm32-unknown-unknown/release/flotilla_script_engine.wasm" "$output"
