//! The cursor of what a subscription was told before an event, which each of its subscribers is told alone.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};
use axum::body::Bytes;

use super::Cursor;

/// Stands for a [`Cursor`], and leaves a gap in the answer. An event is rendered once for many subscribers, and what they
/// were told before it differs. So the gap is filled when the answer is sent. It must be nullable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Previous;

impl OutputType for Previous {
    fn type_name() -> Cow<'static, str> {
        <Cursor as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Cursor as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        // No other resolver answers with bytes, and no text can be taken for them.
        Ok(Value::Binary(Bytes::default()))
    }
}
