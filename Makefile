# `make help` lists what there is to make.
.DEFAULT_GOAL := help
.PHONY: help demo test check sim static static-check static-cross size interop interop-ci kill crash hostile page \
    share bench bench-smoke bench-publish curve fuzz fuzz-build fuzz-ci fuzz-merge soak soak-ci tsan miri

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: ## Tracker, seeder and download on this machine, in seconds and without a network
	@cargo build --quiet --locked
	@tests/demo.sh target/debug/bitwren

# Nothing is kept for a next build that changes little: from nothing that costs a fifth more. `cargo test` keeps it.
export CARGO_INCREMENTAL ?= 0

# Half of the tests wait most of the time, for sockets and processes: twice as many at once as there are cores.
test: ## Run every fast test
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) * 2))} cargo test --quiet --locked

check: ## Formatting, lints and documentation, warnings denied
	cargo fmt --check
	cargo clippy --quiet --locked --all-targets -- -D warnings
	cargo clippy --quiet --locked --test interop --test kill --test crash --test soak --test bench -- -D warnings
	cargo clippy --quiet --locked --no-default-features --lib -- -D warnings
	for feature in cli daemon https fast-sha1 sys tracker-server; do \
	    cargo clippy --quiet --locked --no-default-features --features $$feature -- -D warnings || exit 1; done
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo tree --quiet --locked --manifest-path tests/fuzz/Cargo.toml >/dev/null
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps --lib

SEED ?= 1
N ?= 1000
sim: ## A thousand simulated worlds of faults and liars; `make sim SEED= N=` for others, or more
	SEED=$(SEED) N=$(N) cargo test --quiet --locked --profile sim --no-default-features --features fast-sha1 \
	    --test sim -- --nocapture

SECONDS ?= 600
fuzz: ## Coverage-guided fuzzing, two targets at a time: TARGET=magnet SECONDS=600 (a C++ compiler)
	tests/fuzz/run.sh $(SECONDS) $(TARGET)

fuzz-ci: ## the same for 30 seconds each, from one seed
	SEED=1 tests/fuzz/run.sh 30

fuzz-build: ## Build the fuzzer and do not run it
	BUILD=1 tests/fuzz/run.sh 0

fuzz-merge: ## Write what is worth keeping of what `make fuzz` found out back to testdata/fuzz: TARGET=magnet
	MERGE=1 tests/fuzz/run.sh 0 $(TARGET)

interop: ## Transfers with transmission, aria2 and libtorrent in every way (root, Debian; installs them)
	tests/foreign/setup.sh interop
	cargo test --quiet --locked --test interop

# The ways without a tracker, our tracker and share wait for others to get to it: on a busy machine that is
# later than anyone waits.
interop-ci: ## The same but for what depends on the leisure of others
	tests/foreign/setup.sh interop
	cargo test --quiet --locked --test interop -- single multi "all three"

kill: ## A download killed 50 times with SIGKILL
	cargo test --quiet --locked --test kill -- --nocapture

SHUTDOWN_MS ?= 1000
crash: ## Faults at every call that changes the disk, power cuts, means that run out, ends that hang (strace; root for some)
	cargo test --quiet --locked --test crash -- --nocapture
	SHUTDOWN_MS=$(SHUTDOWN_MS) cargo test --quiet --locked --test it -- shutdown:: --nocapture --test-threads 1

MINUTES ?= 60
soak: ## An hour of torrents, peers and trackers that come, go and fail, memory asserted flat: MINUTES=60 SEED=
	cargo test --quiet --locked --test soak -- minutes=$(MINUTES) seed=$(SEED)

soak-ci: ## Five minutes of the same
	cargo test --quiet --locked --test soak -- minutes=5 seed=$(SEED)

tsan: ## The tests in which threads meet, under ThreadSanitizer (a nightly with rust-src, or Debian); TESTS=
	tests/sanitize/tsan.sh

miri: ## What threads share, under Miri, in many schedules (a nightly with miri)
	tests/sanitize/miri.sh

hostile: ## The table of attacks: attack, outcome, time, memory, descriptors
	@out=$$(cargo test --quiet --locked --test it -- hostile:: --nocapture 2>&1) || { echo "$$out"; exit 1; }; \
	    echo "$$out" | grep -o '| .* |$$' | sort -u

share: ## `share` to ten machines behind rate limits, against plain HTTP (root, ip, tc, curl, python3)
	cargo build --quiet --locked --release
	tests/share/lan.sh 10

bench: ## Clients side by side: SCENARIO=one,far CLIENTS=bitwren,aria2 ROUNDS=3 SIZE=64 (root, Debian; installs them)
	tests/foreign/setup.sh bench $(CLIENTS)
	cargo build --quiet --locked --release
	cargo test --quiet --locked --test bench -- scenario=$(SCENARIO) clients=$(CLIENTS) rounds=$(ROUNDS) size=$(SIZE)

bench-smoke: ## That the benchmark works: every scenario once and small, the debug build alone
	cargo build --quiet --locked
	BITWREN=debug cargo test --quiet --locked --test bench -- clients=bitwren rounds=1 size=32 watch=1 syscalls=no into=bench-smoke

SERVER ?= tests/rpc/server.sh
page: ## The daemon's page in Chromium, clicked through: SERVER=script SHOTS=directory for pictures (root, Debian, npm)
	cargo build --quiet --locked
	tests/rpc/page.sh $(SERVER)

curve: ## What a block costs the picker, from 10 to a million pieces and from 1 to 1,000 peers
	cargo test --quiet --locked --release --test curve

bench-publish: ## Put the results of the last `make bench` into the README
	cargo test --quiet --locked --test bench -- publish

static: ## One fully static binary for x86_64 (Debian's musl; installs what it needs)
	tests/static/build.sh x86_64-unknown-linux-musl

static-check: ## That binary at work in root directories that hold nothing else
	tests/static/empty-root.sh "$$(tests/static/build.sh x86_64-unknown-linux-musl)"

# Qemu runs one program at a time here, not a machine: threads, sockets and files are this kernel's.
static-cross: ## The same for aarch64 and armv7 (zig from PyPI), each through whole downloads under qemu
	tests/static/cross.sh aarch64-unknown-linux-musl armv7-unknown-linux-musleabihf

size: ## What is in the static binary, by crate and module; fails when it outgrows tests/static/budget
	tests/static/size.sh
