//! The GraphQL API: requests in, responses out.
//!
//! `document/` turns documents into plans, `schema/` has the types and resolvers, `execution/` runs plans. The files
//! beside them serve all three: the caller, the budget of an answer, the form of a response. `cloud_events` and
//! `webhooks` are the log for those who speak no GraphQL. What never lives here: rules of messaging, SQL, and the bytes of
//! any transport.

mod budget;
mod caller;
mod cloud_events;
mod cookie;
mod document;
mod execution;
mod large;
mod members;
mod params;
mod response;
mod schema;
mod webhooks;

pub(crate) use caller::Caller;
pub(crate) use cloud_events::cloud_event;
pub(crate) use cookie::NAME as COOKIE;
pub(crate) use execution::{Answers, Engine, Prepared, Rendering};
pub(crate) use members::{Member, members};
pub(crate) use params::Params;
pub(crate) use response::{BAD_REQUEST, LIMIT_EXCEEDED, Response, Written, failure, refusal};
pub(crate) use schema::services::Services;
pub(crate) use schema::types::Cursor;
pub use schema::{sdl, subgraph_sdl};
