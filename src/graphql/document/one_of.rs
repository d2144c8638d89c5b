//! Adds `__Type.isOneOf`, which apollo-compiler 1.33 lacks
//! (<https://spec.graphql.org/September2025/#sec-The-__Type-Type>).
//!
//! The field is false for an input object, because herald has no OneOf, and null for every other type. `inputFields` is
//! null for the same types. So the introspection executes `inputFields` in its place, and each list becomes false.

use apollo_compiler::ast::{DirectiveList, FieldDefinition, Type};
use apollo_compiler::executable::{ExecutableDocument, Selection, SelectionSet};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Node, Schema, name};

use super::plan::{Field, Inner};

const IS_ONE_OF: &str = "isOneOf";

/// Adds the field to a schema.
pub(super) fn define(schema: &mut Schema) {
    let Some(ExtendedType::Object(ty)) = schema.types.get_mut("__Type") else { return };
    let definition = FieldDefinition {
        description: None,
        name: name!("isOneOf"),
        arguments: Vec::new(),
        ty: Type::Named(name!("Boolean")),
        directives: DirectiveList::default(),
    };
    ty.make_mut().fields.insert(name!("isOneOf"), Component::new(definition));
}

/// The document with `inputFields` in the place of each `isOneOf`.
pub(super) fn replaced(document: &Valid<ExecutableDocument>) -> Valid<ExecutableDocument> {
    let mut document = ExecutableDocument::clone(document);
    let operations = document.operations.anonymous.iter_mut().chain(document.operations.named.values_mut());
    for operation in operations {
        replace(&mut operation.make_mut().selection_set);
    }
    for fragment in document.fragments.values_mut() {
        replace(&mut fragment.make_mut().selection_set);
    }
    Valid::assume_valid(document)
}

fn replace(set: &mut SelectionSet) {
    for selection in &mut set.selections {
        match selection {
            Selection::Field(field) => {
                let field = field.make_mut();
                if set.ty == "__Type" && field.name == IS_ONE_OF {
                    field.alias = Some(field.response_key().clone());
                    field.name = name!("inputFields");
                    let of = Type::List(Box::new(Type::NonNullNamed(name!("__InputValue"))));
                    field.definition = Node::new(FieldDefinition { ty: of, ..(*field.definition).clone() });
                    field.selection_set = SelectionSet::new(name!("__InputValue"));
                }
                replace(&mut field.selection_set);
            }
            Selection::InlineFragment(inline) => replace(&mut inline.make_mut().selection_set),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// Replaces the lists that were answered for `isOneOf` with false.
pub(super) fn restore(fields: &[Field], answered: &mut JsonMap) {
    for field in fields {
        let Some(value) = answered.get_mut(field.key.as_str()) else { continue };
        match &field.inner {
            Inner::Leaf if value.is_array() && !field.ty.is_list() => *value = JsonValue::Bool(false),
            Inner::Object(fields) | Inner::Introspection(fields) => restore_value(fields, value),
            Inner::Leaf | Inner::Abstract(_) => {}
        }
    }
}

fn restore_value(fields: &[Field], value: &mut JsonValue) {
    match value {
        JsonValue::Array(values) => {
            for value in values {
                restore_value(fields, value);
            }
        }
        JsonValue::Object(answered) => restore(fields, answered),
        _ => {}
    }
}
