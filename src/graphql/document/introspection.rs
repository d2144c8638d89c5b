//! Answers introspection from the schema.

use apollo_compiler::executable::Operation;
use apollo_compiler::introspection::{check_max_depth, partial_execute};
use apollo_compiler::request::{RequestError, coerce_variable_values};
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue, ResponseDataPathSegment};
use async_graphql::{PathSegment, Pos, ServerError, Variables};

use super::{Document, Plan, Schema, one_of};
use crate::graphql::response::{LIMIT_EXCEEDED, Response, VALIDATION_FAILED, refusal};

/// The answers about the schema.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Introspected {
    /// The answers under their response keys.
    pub(in crate::graphql) data: JsonMap,
    /// The errors in arguments.
    pub(in crate::graphql) errors: Vec<ServerError>,
}

/// Checks that the lists of an introspection do not nest so deep that the answer would become too large.
///
/// # Errors
/// The response that refuses it.
pub(super) fn check(document: &Document, operation: &Operation) -> Result<(), Box<Response>> {
    check_max_depth(&document.parsed, operation).map_err(|_| {
        let message = "The introspection nests more than two of `fields`, `inputFields`, `interfaces` and \
             `possibleTypes`: ask for types by name.";
        Box::new(refusal(LIMIT_EXCEEDED, message))
    })
}

impl Schema {
    /// The answers to the root fields that ask about the schema.
    ///
    /// # Errors
    /// The response that says which variable does not fit.
    pub(in crate::graphql) fn introspect(
        &self,
        document: &Document,
        plan: &Plan,
        operation_name: Option<&str>,
        variables: &Variables,
    ) -> Result<Introspected, Box<Response>> {
        let refuse = |error: RequestError| Box::new(refusal(VALIDATION_FAILED, error.message().to_string()));
        let document = one_of::replaced(&document.parsed);
        let operation = document.operations.get(operation_name).map_err(refuse)?;
        let values = variables.iter().filter_map(|(name, value)| {
            Some((name.as_str().into(), JsonValue::from(value.clone().into_json().ok()?)))
        });
        let values = coerce_variable_values(&self.parsed, operation, &values.collect()).map_err(refuse)?;
        let (schema, implementers) = (&self.parsed, &self.implementers);
        let response =
            partial_execute(schema, implementers, &document, operation, &values).map_err(refuse)?;
        let mut data = response.data.unwrap_or_default();
        one_of::restore(&plan.root, &mut data);
        Ok(Introspected { data, errors: response.errors.into_iter().map(error).collect() })
    }
}

fn error(error: GraphQLError) -> ServerError {
    let pos = error.locations.first().map(|place| Pos { line: place.line, column: place.column });
    let path = error.path.into_iter().map(|segment| match segment {
        ResponseDataPathSegment::Field(name) => PathSegment::Field(name.to_string()),
        ResponseDataPathSegment::ListIndex(index) => PathSegment::Index(index),
    });
    ServerError { path: path.collect(), ..ServerError::new(error.message, pos) }
}
