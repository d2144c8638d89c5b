//! Finds fields that cannot be merged because an argument has lists of different lengths. apollo-compiler 1.33 misses
//! them: it compares two lists only up to the length of the shorter one
//! (<https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>).

use apollo_compiler::Node;
use apollo_compiler::ast::{Definition, Document, Selection, Value};

use super::Schema;

/// Whether a document has such a conflict. It validates a copy of the document, in which each argument that holds a
/// list is a text. Texts are compared as a whole.
pub(super) fn conflict(schema: &Schema, document: &Document) -> bool {
    let mut copy = document.clone();
    for definition in &mut copy.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                replace_lists(&mut operation.make_mut().selection_set);
            }
            Definition::FragmentDefinition(fragment) => replace_lists(&mut fragment.make_mut().selection_set),
            _ => {}
        }
    }
    let Err(failed) = copy.to_executable_validate(&schema.parsed) else { return false };
    failed
        .errors
        .iter()
        .any(|diagnostic| diagnostic.error.unstable_error_name() == Some("ConflictingFieldArgument"))
}

fn replace_lists(selections: &mut [Selection]) {
    for selection in selections {
        match selection {
            Selection::Field(field) => {
                let field = field.make_mut();
                for argument in field.arguments.iter_mut().filter(|argument| has_list(&argument.value)) {
                    let text = argument.value.to_string();
                    argument.make_mut().value = Node::new(Value::String(text));
                }
                replace_lists(&mut field.selection_set);
            }
            Selection::InlineFragment(inline) => replace_lists(&mut inline.make_mut().selection_set),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn has_list(value: &Value) -> bool {
    match value {
        Value::List(_) => true,
        Value::Object(fields) => fields.iter().any(|(_, value)| has_list(value)),
        _ => false,
    }
}
