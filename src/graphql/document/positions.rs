//! Checks that each variable is used only where its type is allowed. apollo-compiler 1.33 does not check this inside
//! lists and input objects (<https://spec.graphql.org/September2025/#sec-All-Variable-Usages-Are-Allowed>).

use std::collections::HashSet;

use apollo_compiler::ast::{Argument, Directive, InputValueDefinition, Type, Value};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{ExecutableDocument, Name, Node};

use super::Schema;

/// The error about the first variable of an operation that is used where its type is not allowed; `None` without one.
pub(super) fn misplaced(
    schema: &Schema,
    document: &ExecutableDocument,
    operation: &Operation,
) -> Option<String> {
    let mut usages = Usages { schema, document, operation, seen: HashSet::new(), misplaced: None };
    usages.directives(&operation.directives);
    usages.set(&operation.selection_set);
    usages.misplaced
}

struct Usages<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    operation: &'a Operation,
    /// The fragments that were visited.
    seen: HashSet<&'a Name>,
    misplaced: Option<String>,
}

impl<'a> Usages<'a> {
    fn set(&mut self, set: &'a SelectionSet) {
        for selection in &set.selections {
            self.directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.arguments(&field.arguments, &field.definition.arguments);
                    self.set(&field.selection_set);
                }
                Selection::InlineFragment(inline) => self.set(&inline.selection_set),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name)
                        && self.seen.insert(&spread.fragment_name)
                    {
                        self.directives(&fragment.directives);
                        self.set(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &[Node<Directive>]) {
        let schema = self.schema;
        for directive in directives {
            if let Some(definition) = schema.parsed.directive_definitions.get(&directive.name) {
                self.arguments(&directive.arguments, &definition.arguments);
            }
        }
    }

    fn arguments(&mut self, given: &[Node<Argument>], defined: &[Node<InputValueDefinition>]) {
        for argument in given {
            if let Some(definition) = defined.iter().find(|definition| definition.name == argument.name) {
                self.value(&argument.value, &definition.ty, definition.default_value.is_some());
            }
        }
    }

    fn value(&mut self, value: &Value, ty: &Type, has_default: bool) {
        match value {
            Value::Variable(name) => self.variable(name, ty, has_default),
            Value::List(values) => {
                let item = if ty.is_list() { ty.item_type() } else { ty };
                for value in values {
                    self.value(value, item, false);
                }
            }
            Value::Object(fields) => {
                let Some(ExtendedType::InputObject(input)) = self.schema.named(ty) else { return };
                for (name, value) in fields {
                    if let Some(field) = input.fields.get(name) {
                        self.value(value, &field.ty, field.default_value.is_some());
                    }
                }
            }
            _ => {}
        }
    }

    fn variable(&mut self, name: &Name, ty: &Type, has_default: bool) {
        let mut declared = self.operation.variables.iter();
        let Some(declared) = declared.find(|variable| variable.name == *name) else { return };
        let is_never_null = declared.default_value.as_ref().is_some_and(|value| !value.is_null());
        let is_allowed = if ty.is_non_null() && !declared.ty.is_non_null() {
            (is_never_null || has_default) && declared.ty.is_assignable_to(&ty.clone().nullable())
        } else {
            declared.ty.is_assignable_to(ty)
        };
        if !is_allowed {
            let reason = format!(
                "Variable `${name}` of type `{}` is used where a value of type `{ty}` is required.",
                declared.ty
            );
            self.misplaced.get_or_insert(reason);
        }
    }
}
