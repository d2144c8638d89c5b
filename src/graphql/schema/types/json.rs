//! The scalar for any JSON value.

use async_graphql::{Context, InputValueResult, Scalar, ScalarType, Value};

use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::messaging::Metadata;

/// A JSON value as the schema takes and shows it.
#[derive(Debug, Clone)]
pub(crate) struct Json(serde_json::Value);

/// Any JSON value. Where it is stored, it has at most 4 KB as JSON without spaces, and at most 16 lists and objects inside
/// one another.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.into_json()?))
    }

    fn to_value(&self) -> Value {
        Value::from_json(self.0.clone()).unwrap_or_default()
    }
}

impl Json {
    /// Shows what is stored, and pays for it from the budget.
    pub(crate) async fn show(ctx: &Context<'_>, stored: Option<&Metadata>) -> Result<Option<Self>, Error> {
        let Some(stored) = stored else { return Ok(None) };
        budget_of(ctx)?.pay(stored.as_str().len()).await;
        Ok(Some(Self(stored.value())))
    }

    /// The value to be stored under `metadata`. Null stores nothing.
    ///
    /// # Errors
    /// [`Error::BadInput`] when it is too large or too deep.
    pub(crate) fn metadata(given: Option<Self>) -> Result<Option<Metadata>, Error> {
        let given = given.filter(|given| !given.0.is_null());
        given.map(|given| Metadata::parse(&given.0)).transpose().map_err(Error::invalid("metadata"))
    }
}
