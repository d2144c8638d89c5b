//! Makes parts of the syntax tree that async-graphql executes.

use apollo_compiler::ast::{self, Type};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::SourceMap;
use apollo_compiler::{Name, Node};
use async_graphql::parser::types as lowered;
use async_graphql::{Name as Key, Pos, Positioned};

use super::plan::{Defaulted, TYPENAME};
use super::values::lowered_type;

/// An operation with this selection set. It declares the operation's own variables, and those that stand for defaults.
pub(super) fn operation(
    operation: &Operation,
    defaulted: &[Defaulted],
    selection_set: Positioned<lowered::SelectionSet>,
) -> Positioned<lowered::OperationDefinition> {
    let declared =
        operation.variables.iter().map(|variable| (variable.name.as_str(), lowered_type(&variable.ty)));
    let defaulted = defaulted.iter().map(|variable| {
        // The type does not matter, because the value was already checked against the type of the argument.
        let any_type = lowered_type(&Type::Named(apollo_compiler::name!("String")));
        (variable.name.as_str(), any_type)
    });
    let definitions = declared.chain(defaulted).map(|(name, ty)| {
        anywhere(lowered::VariableDefinition {
            name: anywhere(Key::new(name)),
            var_type: anywhere(ty),
            directives: Vec::new(),
            default_value: None,
        })
    });
    anywhere(lowered::OperationDefinition {
        ty: match operation.operation_type {
            ast::OperationType::Query => lowered::OperationType::Query,
            ast::OperationType::Mutation => lowered::OperationType::Mutation,
            ast::OperationType::Subscription => lowered::OperationType::Subscription,
        },
        variable_definitions: definitions.collect(),
        directives: Vec::new(),
        selection_set,
    })
}

/// The line and column of a node in the text.
pub(super) fn place<T>(node: &Node<T>, sources: &SourceMap) -> Pos {
    let start = node.line_column_range(sources).map(|range| range.start);
    start.map_or(Pos::default(), |start| Pos { line: start.line, column: start.column })
}

/// A node that has no place in the text.
pub(super) fn anywhere<T>(node: T) -> Positioned<T> {
    Positioned::new(node, Pos::default())
}

/// The selection by which the executor answers the type of an object.
pub(super) fn typename() -> Positioned<lowered::Selection> {
    anywhere(lowered::Selection::Field(anywhere(lowered::Field {
        alias: Some(anywhere(Key::new(TYPENAME))),
        name: anywhere(Key::new("__typename")),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: anywhere(lowered::SelectionSet::default()),
    })))
}

/// An inline fragment that applies a selection set to objects of one type.
pub(super) fn on(
    object: &Name,
    selection_set: Positioned<lowered::SelectionSet>,
) -> Positioned<lowered::Selection> {
    anywhere(lowered::Selection::InlineFragment(anywhere(lowered::InlineFragment {
        type_condition: Some(anywhere(lowered::TypeCondition { on: anywhere(Key::new(object)) })),
        directives: Vec::new(),
        selection_set,
    })))
}
