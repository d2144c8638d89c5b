# Short names for the commands of docs/development. `just` lists them. https://just.systems

set positional-arguments

_list:
    @just --list

# Formatting, lints, documents
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    tests/documents

# The Rust tests on SQLite; takes what `cargo nextest run` takes, such as -E 'test(messages::)'
test *args:
    cargo nextest run --config-file tests/nextest.toml --workspace "$@"

# The tests of tests/it on a Postgres, such as postgres://user@127.0.0.1/postgres
test-postgres url *args:
    url="$1"; shift; HERALD_TEST_POSTGRES="$url" cargo nextest run --config-file tests/nextest.toml --workspace --test it "$@"

# Everything that must pass before a change lands
full:
    .ci/run
