//! What is asked about the schema, answered from the schema.

use apollo_compiler::executable::Operation;
use apollo_compiler::introspection::{check_max_depth, partial_execute};
use apollo_compiler::request::{RequestError, coerce_variable_values};
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue, ResponseDataPathSegment};
use async_graphql::{PathSegment, Pos, ServerError, Variables};

use super::{Document, Plan, Schema, one_of};
use crate::graphql::response::{LIMIT_EXCEEDED, Response, VALIDATION_FAILED, refusal};

/// What was asked about the schema.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Introspected {
    /// The answers, under the keys of the response.
    pub(in crate::graphql) data: JsonMap,
    /// What went wrong with arguments.
    pub(in crate::graphql) errors: Vec<ServerError>,
}

/// Refuses introspection whose lists nest so deep that the answer would multiply.
///
/// # Errors
/// The response that says so.
pub(super) fn check(document: &Document, operation: &Operation) -> Result<(), Box<Response>> {
    check_max_depth(&document.parsed, operation).map_err(|_| {
        let message = "The introspection nests `fields`, `inputFields`, `interfaces` and `possibleTypes` deeper than \
             two of them: ask for types by name.";
        Box::new(refusal(LIMIT_EXCEEDED, message))
    })
}

impl Schema {
    /// The answers to the root fields that ask about the schema, under their keys.
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
        let answered = partial_execute(schema, implementers, &document, operation, &values);
        let answered = answered.map_err(refuse)?;
        let mut data = answered.data.unwrap_or_default();
        one_of::settle(&plan.root, &mut data);
        Ok(Introspected { data, errors: answered.errors.into_iter().map(error).collect() })
    }
}

fn error(error: GraphQLError) -> ServerError {
    let place = error.locations.first().map(|place| Pos { line: place.line, column: place.column });
    let path = error.path.into_iter().map(|segment| match segment {
        ResponseDataPathSegment::Field(name) => PathSegment::Field(name.to_string()),
        ResponseDataPathSegment::ListIndex(index) => PathSegment::Index(index),
    });
    ServerError { path: path.collect(), ..ServerError::new(error.message, place) }
}
