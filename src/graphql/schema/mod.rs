//! The GraphQL schema and its resolvers.
//!
//! Here live queries, mutations, subscriptions and types, and what resolvers use: the services, the loaders that load
//! many things by one statement, and pages of Relay. What never lives here: rules of messaging (a resolver makes a
//! command and does not decide), SQL, and how herald reads or executes a document.

mod federation;
mod input;
pub(crate) mod loaders;
mod mutation;
mod page;
mod payload;
pub(crate) mod query;
pub(crate) mod services;
pub(crate) mod subscription;
pub(crate) mod types;

use async_graphql::{MergedObject, ObjectType, SDLExportOptions, SchemaBuilder};

pub use self::federation::subgraph_sdl;

use self::federation::Federation;
use self::mutation::Mutation;
use self::query::Queries;
use self::subscription::Subscription;

/// What can be asked.
#[derive(Debug, MergedObject)]
#[graphql(name = "Query")]
pub(crate) struct Query(Queries);

/// What can be asked.
#[derive(Debug, MergedObject)]
#[graphql(name = "Query")]
pub(crate) struct FederatedQuery(Queries, Federation);

/// The schema that async-graphql executes. It can do all that any herald may be asked. Documents are validated first,
/// against [`definitions`].
pub(crate) type Schema = async_graphql::Schema<FederatedQuery, Mutation, Subscription>;

/// The builder of the schema, to which the engine adds its data.
pub(crate) fn builder() -> SchemaBuilder<FederatedQuery, Mutation, Subscription> {
    Schema::build(FederatedQuery(Queries, Federation), Mutation, Subscription)
}

/// The schema definition, as `herald schema` prints it.
pub fn sdl() -> String {
    print(async_graphql::Schema::build(Query(Queries), Mutation, Subscription))
}

/// The schema definition that documents have to fit: with what the router of a federation asks, if there is one.
pub(crate) fn definitions(is_federated: bool) -> String {
    if is_federated { print(builder()) } else { sdl() }
}

fn print<Q: ObjectType + 'static>(schema: SchemaBuilder<Q, Mutation, Subscription>) -> String {
    let options = SDLExportOptions::new().sorted_fields().include_specified_by();
    schema.finish().sdl_with_options(options)
}
