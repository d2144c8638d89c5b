//! The GraphQL API: requests in, responses out.
//!
//! Here live the schema, the loaders behind it, the documents it was asked, and the operations of those who
//! subscribe. What never lives here: rules of messaging (resolvers make commands, they do not decide), SQL,
//! and the bytes of any transport.

mod answer;
mod budget;
mod caller;
mod cookie;
mod document;
mod engine;
mod held;
mod large;
mod loaders;
mod members;
mod mutation;
mod operation;
mod page;
mod params;
mod query;
mod response;
mod services;
mod subscription;
mod types;

use async_graphql::SchemaBuilder;

pub(crate) use caller::Caller;
pub(crate) use cookie::NAME as COOKIE;
pub(crate) use engine::{Answers, Engine, Prepared};
pub(crate) use members::{Member, members};
pub(crate) use params::Params;
pub(crate) use response::{BAD_REQUEST, LIMIT_EXCEEDED, Response, Written, failure, refusal};
pub(crate) use services::Services;
pub(crate) use types::Cursor;

use self::mutation::Mutation;
use self::query::Query;
use self::subscription::Subscription;

type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription)
}

/// The schema definition, as `herald schema` prints it.
pub fn sdl() -> String {
    let schema = builder().finish();
    let options = async_graphql::SDLExportOptions::new().sorted_fields().include_specified_by();
    schema.sdl_with_options(options)
}
