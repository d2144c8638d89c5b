//! Turns a text into a valid document, within the limits.
//!
//! There is one parser, apollo-compiler. It enforces its own limits: it counts tokens and nesting while it reads.

use std::collections::HashSet;

use apollo_compiler::ast::Document as Parsed;
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid, WithErrors};
use apollo_compiler::{ExecutableDocument, Node};
use async_graphql::{Pos, ServerError};

use super::survey::{MAX_REACHED_FIELDS, Survey};
use super::{Document, Hash, Schema, lists, positions, tokens};
use crate::config::Limits;
use crate::graphql::response::{
    LIMIT_EXCEEDED, PARSE_FAILED, Response, VALIDATION_FAILED, refusal, set_code,
};

/// How deep selection sets, lists, objects and types may nest. It is more than any useful `--max-depth`, and little
/// enough for a recursive parser.
const MAX_NESTING: usize = 64;

/// Bytes of memory that a parsed document takes for each byte of its text. Measured with documents of 10 B to 28 KB,
/// made of short names.
const MEMORY_BYTES_PER_TEXT_BYTE: usize = 40;

/// Bytes of memory that a parsed document takes in addition, whatever its length.
const BASE_MEMORY_BYTES: usize = 2_048;

/// Parses a document, and validates it against the schema.
///
/// # Errors
/// The response that says what is wrong with it.
pub(super) fn read(
    schema: &Schema,
    limits: &Limits,
    hash: Hash,
    text: &str,
) -> Result<Document, Box<Response>> {
    within("bytes", text.len(), limits.max_document_bytes)?;
    let parsed = parse(text, limits.max_tokens)?;
    let mut survey = Survey::of(&parsed);
    if survey.names != tokens::names_inside(text, limits.max_tokens) {
        let message =
            "The document cannot be parsed: an argument, or a field of an input object, has no value.";
        return Err(Box::new(refusal(PARSE_FAILED, message)));
    }
    within("aliases", survey.aliases, limits.max_aliases)?;
    within("directives", survey.directives, limits.max_directives)?;
    if survey.reach(&parsed) > MAX_REACHED_FIELDS {
        let message =
            format!("The operations of the document reach more than {MAX_REACHED_FIELDS} selections in all.");
        return Err(Box::new(refusal(LIMIT_EXCEEDED, message)));
    }
    if let Some(name) = survey.repeated_field {
        let message = format!("An input object has the field `{name}` twice.");
        return Err(Box::new(refusal(VALIDATION_FAILED, message)));
    }
    if let Some(number) = tokens::overflowing_number(text, limits.max_tokens) {
        let message = format!("The number {} is out of range.", shortened(number));
        return Err(Box::new(refusal(VALIDATION_FAILED, message)));
    }
    let parsed = validate(schema, &parsed, &survey)?;
    let mut conditions: Vec<_> = survey.conditions.into_iter().collect();
    conditions.sort();
    let memory_bytes = BASE_MEMORY_BYTES + MEMORY_BYTES_PER_TEXT_BYTE * text.len();
    Ok(Document { hash, parsed, conditions, memory_bytes })
}

/// The beginning of a number that may have any length.
fn shortened(number: &str) -> &str {
    number.get(..20).unwrap_or(number)
}

fn parse(text: &str, max_tokens: usize) -> Result<Parsed, Box<Response>> {
    let attempt = |text: &str| {
        let mut parser = Parser::new().recursion_limit(MAX_NESTING).token_limit(max_tokens);
        parser.parse_ast(text, "document")
    };
    let failed = match attempt(text) {
        Ok(parsed) => return Ok(parsed),
        Err(failed) => failed,
    };
    tokens::without_ignored(text, max_tokens)
        .and_then(|text| attempt(&text).ok())
        .ok_or_else(|| Box::new(unparsable(&failed.errors)))
}

fn validate(
    schema: &Schema,
    parsed: &Parsed,
    survey: &Survey,
) -> Result<Valid<ExecutableDocument>, Box<Response>> {
    let valid = match parsed.to_executable_validate(&schema.parsed) {
        Ok(valid) => valid,
        Err(failed) if is_valid_by_specification(&failed) => Valid::assume_valid(failed.partial),
        Err(failed) => return Err(Box::new(invalid(&failed.errors))),
    };
    let refuse = |reason: String| Box::new(refusal(VALIDATION_FAILED, reason));
    if survey.has_different_lists && lists::conflict(schema, parsed) {
        return Err(refuse(
            "Two fields with the same name have lists of different lengths for an argument.".into(),
        ));
    }
    for operation in valid.operations.iter() {
        if let Some(reason) = positions::misplaced(schema, &valid, operation) {
            return Err(refuse(reason));
        }
    }
    Ok(valid)
}

/// Whether the specification allows what apollo-compiler 1.33 refuses here. apollo-compiler requires one selection at
/// the root of a subscription. The specification requires one field, which a document may select several times
/// (<https://spec.graphql.org/September2025/#sec-Single-Root-Field>).
fn is_valid_by_specification(failed: &WithErrors<ExecutableDocument>) -> bool {
    let is_about_roots = |name: Option<&str>| name == Some("SubscriptionUsesMultipleFields");
    let has_one_root = |operation: &Node<Operation>| {
        let keys: HashSet<_> =
            operation.root_fields(&failed.partial).map(|field| field.response_key()).collect();
        !operation.is_subscription() || keys.len() == 1
    };
    failed.errors.iter().all(|diagnostic| is_about_roots(diagnostic.error.unstable_error_name()))
        && failed.partial.operations.iter().all(has_one_root)
}

/// Checks a count of the document against its limit.
///
/// # Errors
/// The response that names the count and the limit.
pub(super) fn within(what: &str, count: usize, max: usize) -> Result<(), Box<Response>> {
    if count <= max {
        return Ok(());
    }
    let message = format!("The document has {count} {what}; at most {max} are allowed.");
    Err(Box::new(refusal(LIMIT_EXCEEDED, message)))
}

/// Whether an error says that the parser or the validation reached a limit of its own.
fn is_about_limit(name: Option<&str>, message: &str) -> bool {
    matches!(name, Some("RecursionLimitError" | "RecursionError" | "DeeplyNestedType"))
        || message.contains("limit reached")
}

/// The response with the first error. Later ones are often only its consequences.
fn unparsable(errors: &DiagnosticList) -> Response {
    errors_of(
        errors,
        |index, _| index == 0,
        PARSE_FAILED,
        |message, Pos { line, column }| {
            let reason = message.strip_prefix("syntax error: ").unwrap_or(message);
            format!("The document cannot be parsed at line {line}, column {column}: {reason}.")
        },
    )
}

/// The response with every error. A field that does not exist leaves an empty selection, which is not reported as well.
fn invalid(errors: &DiagnosticList) -> Response {
    let has_undefined_field =
        errors.iter().any(|diagnostic| diagnostic.error.unstable_error_name() == Some("UndefinedField"));
    let is_reported = |_, name: Option<&str>| !(has_undefined_field && name == Some("MissingSubselection"));
    errors_of(errors, is_reported, VALIDATION_FAILED, |message, _| {
        let mut letters = message.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).chain(['.']).collect()
    })
}

fn errors_of(
    errors: &DiagnosticList,
    is_reported: impl Fn(usize, Option<&str>) -> bool,
    code: &str,
    message_of: impl Fn(&str, Pos) -> String,
) -> Response {
    let reported = errors
        .iter()
        .enumerate()
        .filter(|(index, diagnostic)| is_reported(*index, diagnostic.error.unstable_error_name()));
    let reported = reported.map(|(_, diagnostic)| {
        let place = diagnostic.line_column_range().map(|range| range.start);
        let pos = place.map_or(Pos::default(), |place| Pos { line: place.line, column: place.column });
        let message = diagnostic.error.to_string();
        let is_about_limit = is_about_limit(diagnostic.error.unstable_error_name(), &message);
        let mut error = ServerError::new(message_of(&message, pos), place.map(|_| pos));
        set_code(&mut error, if is_about_limit { LIMIT_EXCEEDED } else { code });
        error
    });
    Response::refused(reported.collect())
}
