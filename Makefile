# `make` builds the replica under the name that the course's simulator looks for.

.PHONY: all test check bench clean

all: 4730kvstore

4730kvstore: FORCE
	cargo build --release --locked --features top
	cp -f target/release/laconic $@

FORCE:

# All tests that need nothing but Rust.
test:
	cargo test --locked

check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

bench:
	cargo bench --locked

clean:
	cargo clean
	rm -f 4730kvstore
