//! The committed schema, which clients build against, is the one that herald serves.

#[test]
fn the_schema_in_the_repository_is_the_one_that_is_served() {
    let committed = include_str!("../../schema.graphql");
    assert!(
        herald::graphql::sdl() == committed,
        "schema.graphql is out of date: run `cargo run -- schema > schema.graphql`"
    );
}
