//! The GraphQL schema and its resolvers.
//!
//! Here live queries, mutations, subscriptions and types, and what resolvers use: the services, the loaders that load
//! many things by one statement, and pages of Relay. What never lives here: rules of messaging (a resolver makes a
//! command and does not decide), SQL, and how herald reads or executes a document.

mod account;
mod input;
pub(crate) mod loaders;
mod mutation;
mod page;
mod payload;
mod provisioning;
pub(crate) mod query;
pub(crate) mod services;
pub(crate) mod subscription;
pub(crate) mod types;

use async_graphql::SchemaBuilder;

use self::mutation::Mutation;
use self::query::Query;
use self::subscription::Subscription;

/// The schema that async-graphql executes.
pub(crate) type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The builder of the schema, to which the engine adds its data.
pub(crate) fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription)
}

/// The schema definition, as `herald schema` prints it.
pub fn sdl() -> String {
    let schema = builder().finish();
    let options = async_graphql::SDLExportOptions::new().sorted_fields().include_specified_by();
    schema.sdl_with_options(options)
}
