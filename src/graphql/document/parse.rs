//! From text to a valid document, within the limits.
//!
//! There is one parser, and its own limits guard it: apollo-compiler counts tokens and nesting while it reads.

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

/// How deep a document may nest: selection sets, lists, objects and types alike. Deeper than any limit on depth, and
/// shallow enough for a parser that recurses.
const MAX_NESTING: usize = 64;

/// Bytes of memory that a parsed document takes for each byte of its text, and in any case. Measured with documents of
/// 10 B to 28 KB, made of short names.
const DOCUMENT_MEMORY_FACTOR: (usize, usize) = (40, 2_048);

/// Reads a document and holds it to the schema.
///
/// # Errors
/// The response that says what is wrong with it.
pub(super) fn read(
    schema: &Schema,
    limits: &Limits,
    hash: Hash,
    text: &str,
) -> Result<Document, Box<Response>> {
    within("bytes long", text.len(), limits.max_document_bytes)?;
    let parsed = parse(text, limits.max_tokens)?;
    let mut survey = Survey::of(&parsed);
    if survey.names != tokens::names_inside(text, limits.max_tokens) {
        let message =
            "The document cannot be parsed: an argument, or a field of an input object, has no value.";
        return Err(Box::new(refusal(PARSE_FAILED, message)));
    }
    within("aliases in all", survey.aliases, limits.max_aliases)?;
    within("directives in all", survey.directives, limits.max_directives)?;
    if survey.reach(&parsed) > MAX_REACHED_FIELDS {
        let message =
            format!("The operations of the document reach more than {MAX_REACHED_FIELDS} selections in all.");
        return Err(Box::new(refusal(LIMIT_EXCEEDED, message)));
    }
    if let Some(name) = survey.repeated {
        let message = format!("The field `{name}` stands twice in an input object.");
        return Err(Box::new(refusal(VALIDATION_FAILED, message)));
    }
    let parsed = validate(schema, &parsed, &survey)?;
    let (each, base) = DOCUMENT_MEMORY_FACTOR;
    let mut conditions: Vec<_> = survey.conditions.into_iter().collect();
    conditions.sort();
    Ok(Document { hash, parsed, conditions, size: base + each * text.len() })
}

fn parse(text: &str, most: usize) -> Result<Parsed, Box<Response>> {
    let parse = |text: &str| {
        let mut parser = Parser::new().recursion_limit(MAX_NESTING).token_limit(most);
        parser.parse_ast(text, "document")
    };
    let failed = match parse(text) {
        Ok(parsed) => return Ok(parsed),
        Err(failed) => failed,
    };
    let again = tokens::without_what_means_nothing(text, most).and_then(|text| parse(&text).ok());
    again.ok_or_else(|| Box::new(unparsable(&failed.errors)))
}

fn validate(
    schema: &Schema,
    parsed: &Parsed,
    survey: &Survey,
) -> Result<Valid<ExecutableDocument>, Box<Response>> {
    let valid = match parsed.to_executable_validate(&schema.parsed) {
        Ok(valid) => valid,
        Err(failed) if is_valid_after_all(&failed) => Valid::assume_valid(failed.partial),
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

/// apollo-compiler 1.33 wants one selection at the root of a subscription, where the specification wants one field: the
/// same may be selected several times (<https://spec.graphql.org/September2025/#sec-Single-Root-Field>).
fn is_valid_after_all(failed: &WithErrors<ExecutableDocument>) -> bool {
    let is_about_it = |name: Option<&str>| name == Some("SubscriptionUsesMultipleFields");
    let has_one_root = |operation: &Node<Operation>| {
        let keys: HashSet<_> =
            operation.root_fields(&failed.partial).map(|field| field.response_key()).collect();
        !operation.is_subscription() || keys.len() == 1
    };
    failed.errors.iter().all(|diagnostic| is_about_it(diagnostic.error.unstable_error_name()))
        && failed.partial.operations.iter().all(has_one_root)
}

/// Refuses what exceeds a limit.
pub(super) fn within(what: &str, found: usize, most: usize) -> Result<(), Box<Response>> {
    if found <= most {
        return Ok(());
    }
    let message = format!("The document is {found} {what}; at most {most} are allowed.");
    Err(Box::new(refusal(LIMIT_EXCEEDED, message)))
}

/// What is said of errors that are no matter of taste: what the parser and the validation gave up on.
fn is_limit(name: Option<&str>, message: &str) -> bool {
    matches!(name, Some("RecursionLimitError" | "RecursionError" | "DeeplyNestedType"))
        || message.contains("limit reached")
}

/// Tells the first error only: those after it are often its consequences.
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

/// Tells every error. A field that is not there leaves an empty selection behind, which is no error of its own.
fn invalid(errors: &DiagnosticList) -> Response {
    let is = |name: Option<&str>, kind: &str| name == Some(kind);
    let is_undefined = |name| is(name, "UndefinedField");
    let left_out = errors.iter().any(|diagnostic| is_undefined(diagnostic.error.unstable_error_name()));
    let is_told = |_, name: Option<&str>| !(left_out && is(name, "MissingSubselection"));
    errors_of(errors, is_told, VALIDATION_FAILED, |message, _| {
        let mut letters = message.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).chain(['.']).collect()
    })
}

fn errors_of(
    errors: &DiagnosticList,
    is_told: impl Fn(usize, Option<&str>) -> bool,
    code: &str,
    say: impl Fn(&str, Pos) -> String,
) -> Response {
    let told = errors.iter().enumerate();
    let told = told.filter(|(index, diagnostic)| is_told(*index, diagnostic.error.unstable_error_name()));
    let told = told.map(|(_, diagnostic)| {
        let place = diagnostic.line_column_range().map(|range| range.start);
        let pos = place.map_or(Pos::default(), |place| Pos { line: place.line, column: place.column });
        let message = diagnostic.error.to_string();
        let is_limit = is_limit(diagnostic.error.unstable_error_name(), &message);
        let mut error = ServerError::new(say(&message, pos), place.map(|_| pos));
        set_code(&mut error, if is_limit { LIMIT_EXCEEDED } else { code });
        error
    });
    Response::refused(told.collect())
}
