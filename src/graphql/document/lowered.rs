//! Pieces of the syntax tree that async-graphql executes.

use apollo_compiler::ast::{self, Type};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::SourceMap;
use apollo_compiler::{Name, Node};
use async_graphql::parser::types as lowered;
use async_graphql::{Name as Key, Pos, Positioned};

use super::plan::{Defaulted, TYPENAME};
use super::values::lowered_type;

/// The operation that selects this set, with the variables that it declares and those that stand for defaults.
pub(super) fn operation(
    operation: &Operation,
    defaulted: &[Defaulted],
    selection_set: Positioned<lowered::SelectionSet>,
) -> Positioned<lowered::OperationDefinition> {
    let declared =
        operation.variables.iter().map(|variable| (variable.name.as_str(), lowered_type(&variable.ty)));
    let defaulted = defaulted.iter().map(|variable| {
        // Of any type: what it stands for was held to its own.
        let any = lowered_type(&Type::Named(apollo_compiler::name!("String")));
        (variable.name.as_str(), any)
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
/// Where a field stands in the text.
pub(super) fn place<T>(node: &Node<T>, sources: &SourceMap) -> Pos {
    let place = node.line_column_range(sources).map(|range| range.start);
    place.map_or(Pos::default(), |place| Pos { line: place.line, column: place.column })
}

/// What stands nowhere in the text.
pub(super) fn anywhere<T>(node: T) -> Positioned<T> {
    Positioned::new(node, Pos::default())
}

/// Has the executor say which type an object has.
pub(super) fn typename() -> Positioned<lowered::Selection> {
    anywhere(lowered::Selection::Field(anywhere(lowered::Field {
        alias: Some(anywhere(Key::new(TYPENAME))),
        name: anywhere(Key::new("__typename")),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: anywhere(lowered::SelectionSet::default()),
    })))
}

/// Selects a set of objects of one type only.
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
