//! From text to a valid document, within the limits.
//!
//! There is one parser, and its own limits guard it: apollo-compiler counts tokens and nesting while it reads.

use std::collections::{HashMap, HashSet};

use apollo_compiler::ast::{
    Argument, Definition, Directive, Document as Parsed, OperationDefinition, Selection, Value,
};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid, WithErrors};
use apollo_compiler::{ExecutableDocument, Name, Node};
use async_graphql::{Pos, ServerError};

use super::{Document, Hash, Schema};
use crate::config::Limits;
use crate::graphql::response::{
    LIMIT_EXCEEDED, PARSE_FAILED, Response, VALIDATION_FAILED, refusal, set_code,
};

/// How deep a document may nest: selection sets, lists, objects and types alike. Deeper than any limit on depth, and
/// shallow enough for a parser that recurses.
const NESTING: usize = 64;

/// Selections that validation may have to look at in all, where each operation looks at each fragment that it reaches
/// once. Validation takes some 3 µs each.
const REACH: usize = 20_000;

/// Bytes of memory that a parsed document takes for each byte of its text, and in any case. Measured with documents of
/// 10 B to 28 KB, made of short names.
const MEMORY: (usize, usize) = (40, 2_048);

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
    let mut parser = Parser::new().recursion_limit(NESTING).token_limit(limits.max_tokens);
    let parsed = parser.parse_ast(text, "document").map_err(|failed| Box::new(unparsable(&failed.errors)))?;
    let mut survey = Survey::default();
    for definition in &parsed.definitions {
        survey.definition(definition);
    }
    within("aliases in all", survey.aliases, limits.max_aliases)?;
    within("directives in all", survey.directives, limits.max_directives)?;
    if survey.reach(&parsed) > REACH {
        let message = format!("The operations of the document reach more than {REACH} selections in all.");
        return Err(Box::new(refusal(LIMIT_EXCEEDED, message)));
    }
    if let Some(name) = survey.repeated {
        let message = format!("The field `{name}` stands twice in an input object.");
        return Err(Box::new(refusal(VALIDATION_FAILED, message)));
    }
    let parsed = match parsed.to_executable_validate(&schema.parsed) {
        Ok(valid) => valid,
        Err(failed) if is_valid_after_all(&failed) => Valid::assume_valid(failed.partial),
        Err(failed) => return Err(Box::new(invalid(&failed.errors))),
    };
    let (each, base) = MEMORY;
    let mut conditions: Vec<_> = survey.conditions.into_iter().collect();
    conditions.sort();
    Ok(Document { hash, parsed, conditions, size: base + each * text.len() })
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

fn unparsable(errors: &DiagnosticList) -> Response {
    errors_of(errors, PARSE_FAILED, |message, Pos { line, column }| {
        let reason = message.strip_prefix("syntax error: ").unwrap_or(message);
        format!("The document cannot be parsed at line {line}, column {column}: {reason}.")
    })
}

fn invalid(errors: &DiagnosticList) -> Response {
    errors_of(errors, VALIDATION_FAILED, |message, _| {
        let mut letters = message.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).chain(['.']).collect()
    })
}

fn errors_of(errors: &DiagnosticList, code: &str, say: impl Fn(&str, Pos) -> String) -> Response {
    let told = errors.iter().map(|diagnostic| {
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

/// What a document consists of, counted before it is validated. Each fragment is looked at once.
#[derive(Default)]
struct Survey {
    aliases: usize,
    directives: usize,
    conditions: HashSet<String>,
    /// A field that stands twice in one input object, which apollo-compiler 1.33 lets pass
    /// (<https://spec.graphql.org/September2025/#sec-Input-Object-Field-Uniqueness>).
    repeated: Option<Name>,
    /// Of each fragment: its selections, and the fragments that it spreads.
    fragments: HashMap<Name, (usize, Vec<Name>)>,
}

impl Survey {
    fn definition(&mut self, definition: &Definition) {
        match definition {
            Definition::OperationDefinition(operation) => {
                self.directives(&operation.directives);
                for variable in &operation.variables {
                    self.directives(&variable.directives);
                    variable.default_value.iter().for_each(|value| self.value(value));
                }
                self.selections(&operation.selection_set, &mut (0, Vec::new()));
            }
            Definition::FragmentDefinition(fragment) => {
                self.directives(&fragment.directives);
                let mut found = (0, Vec::new());
                self.selections(&fragment.selection_set, &mut found);
                self.fragments.insert(fragment.name.clone(), found);
            }
            // Validation refuses what defines types.
            _ => {}
        }
    }

    fn selections(&mut self, selections: &[Selection], found: &mut (usize, Vec<Name>)) {
        for selection in selections {
            found.0 += 1;
            match selection {
                Selection::Field(field) => {
                    self.aliases += usize::from(field.alias.is_some());
                    self.directives(&field.directives);
                    self.arguments(&field.arguments);
                    self.selections(&field.selection_set, found);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.directives);
                    found.1.push(spread.fragment_name.clone());
                }
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.directives);
                    self.selections(&inline.selection_set, found);
                }
            }
        }
    }

    fn directives(&mut self, directives: &[Node<Directive>]) {
        self.directives += directives.len();
        for directive in directives {
            self.arguments(&directive.arguments);
            for argument in &directive.arguments {
                if let Value::Variable(name) = &*argument.value {
                    self.conditions.insert(name.to_string());
                }
            }
        }
    }

    fn arguments(&mut self, arguments: &[Node<Argument>]) {
        for argument in arguments {
            self.value(&argument.value);
        }
    }

    fn value(&mut self, value: &Node<Value>) {
        match &**value {
            Value::List(values) => values.iter().for_each(|value| self.value(value)),
            Value::Object(fields) => {
                let mut names = HashSet::new();
                for (name, value) in fields {
                    if !names.insert(name) {
                        self.repeated.get_or_insert_with(|| name.clone());
                    }
                    self.value(value);
                }
            }
            _ => {}
        }
    }

    /// How many selections the operations reach in all. Stops counting beyond [`REACH`].
    fn reach(&mut self, document: &Parsed) -> usize {
        let mut reach = 0;
        for definition in &document.definitions {
            if let Definition::OperationDefinition(operation) = definition {
                reach += self.reach_of(operation, REACH - reach);
                if reach > REACH {
                    break;
                }
            }
        }
        reach
    }

    fn reach_of(&mut self, operation: &OperationDefinition, most: usize) -> usize {
        let mut own = (0, Vec::new());
        // Counts aliases and directives a second time, which were compared with their limits before.
        self.selections(&operation.selection_set, &mut own);
        let (mut reach, mut waiting) = own;
        let mut seen = HashSet::new();
        while let Some(name) = waiting.pop() {
            if reach > most {
                break;
            }
            if let Some((selections, spreads)) = self.fragments.get(&name)
                && seen.insert(name)
            {
                reach += selections;
                waiting.extend(spreads.iter().cloned());
            }
        }
        reach
    }
}
