//! What an operation comes to: its fields in the order of the response, each once, and the syntax tree that
//! async-graphql executes.

use std::collections::HashMap;

use apollo_compiler::ast::Type;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Value, Variables};
use sha2::{Digest, Sha256};

/// The key under which the executor says which type an object has. No document can name it.
pub(in crate::graphql) const TYPENAME: &str = "\0typename";

/// The arguments of a subscription that decide which events come, and not how an event looks.
const SELECTING_ARGUMENTS: [&str; 3] = ["after", "conversationId", "includeOwn"];

/// Bytes of memory that a field of a plan takes, with its part of the syntax tree. Measured.
const FIELD_BYTES: usize = 800;

/// A field of a response.
#[derive(Debug)]
pub(in crate::graphql) struct Field {
    /// The key under which it is answered.
    pub(in crate::graphql) key: Name,
    /// Its type, which says whether it may be null.
    pub(in crate::graphql) ty: Type,
    pub(in crate::graphql) inner: Inner,
    /// How often what is inside comes.
    pub(super) rows: Rows,
}

/// What is selected of a field's value.
#[derive(Debug)]
pub(in crate::graphql) enum Inner {
    /// The value itself.
    Leaf,
    /// These fields of an object.
    Object(Box<[Field]>),
    /// These fields, depending on the type of the object.
    Abstract(Box<[(Name, Box<[Field]>)]>),
    /// What is asked about the schema. It is answered from the schema, not by resolvers.
    Introspection(Box<[Field]>),
}

/// How many elements a field's list has.
#[derive(Debug)]
pub(super) enum Rows {
    /// It is no list, or one that is known to be this long.
    Fixed(u64),
    /// A page: of the size that one of these arguments names, or of the default size.
    Page { sizes: Vec<Size>, default: u64 },
    /// As many as are asked for by name.
    Items(Items),
}

/// The size of a page, where an argument names it.
#[derive(Debug)]
pub(super) enum Size {
    Given(u64),
    Variable(Name),
}

/// The length of a list that an argument is.
#[derive(Debug)]
pub(super) enum Items {
    Given(u64),
    Variable(Name),
}

/// A variable that stands for another where that has no value and the argument has a default.
#[derive(Debug)]
pub(super) struct Defaulted {
    pub(super) name: Name,
    pub(super) stands_for: Name,
    pub(super) default: Value,
}

/// What an operation selects, once its fragments are spread, its fields merged and its conditions applied.
#[derive(Debug)]
pub(in crate::graphql) struct Plan {
    /// Query, mutation or subscription.
    pub(in crate::graphql) kind: OperationType,
    pub(in crate::graphql) root: Box<[Field]>,
    /// Whether there is anything for resolvers to answer.
    pub(in crate::graphql) has_resolved: bool,
    /// Whether the schema itself is asked for.
    pub(in crate::graphql) asks_schema: bool,
    /// Whether `Query.cursor` is asked for, so that the head of the log has to be read first.
    pub(in crate::graphql) asks_cursor: bool,
    /// How many fields it selects, each once for each type that its parent can have.
    pub(in crate::graphql) fields: usize,
    pub(super) operation: Positioned<OperationDefinition>,
    pub(super) defaulted: Vec<Defaulted>,
}

impl Plan {
    /// About how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        FIELD_BYTES * (self.fields + 1) + arguments_bytes(&self.operation.node.selection_set.node)
    }

    /// The document that the executor is given. It leaves no choice: every field stands once, in order.
    pub(in crate::graphql) fn executable(&self) -> ExecutableDocument {
        ExecutableDocument {
            operations: DocumentOperations::Single(self.operation.clone()),
            fragments: HashMap::new(),
        }
    }

    /// The variables that the executor is given.
    pub(in crate::graphql) fn variables(&self, variables: &Variables) -> Variables {
        let mut all = variables.clone();
        for Defaulted { name, stands_for, default } in &self.defaulted {
            all.insert(name.clone(), variables.get(stands_for).unwrap_or(default).clone());
        }
        all
    }

    /// Tells subscriptions apart by everything that can make an event look different. Where a subscription begins and
    /// which conversation it follows are left out.
    pub(in crate::graphql) fn fingerprint(&self, variables: &Variables) -> [u8; 16] {
        let mut print = Print { hash: Sha256::new(), variables };
        print.set(&self.operation.node.selection_set.node, &SELECTING_ARGUMENTS);
        let digest = print.hash.finalize();
        std::array::from_fn(|i| digest[i])
    }
}

/// The memory of the values that a selection's arguments have.
fn arguments_bytes(set: &SelectionSet) -> usize {
    let of_selection = |selection: &Selection| match selection {
        Selection::Field(field) => {
            let values: usize = field.node.arguments.iter().map(|(_, value)| value_bytes(&value.node)).sum();
            values + arguments_bytes(&field.node.selection_set.node)
        }
        Selection::InlineFragment(inline) => arguments_bytes(&inline.node.selection_set.node),
        // Every fragment is spread.
        Selection::FragmentSpread(_) => 0,
    };
    set.items.iter().map(|selection| of_selection(&selection.node)).sum()
}

fn value_bytes(value: &async_graphql_value::Value) -> usize {
    use async_graphql_value::Value;

    let inner = match value {
        // A short text takes as much as the least that is allocated.
        Value::String(text) => text.len().max(32),
        Value::List(values) => values.iter().map(value_bytes).sum(),
        // Each member has a place in a table of hashes beside its own.
        Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + 64 + value_bytes(value)).sum()
        }
        Value::Variable(_)
        | Value::Null
        | Value::Number(_)
        | Value::Boolean(_)
        | Value::Binary(_)
        | Value::Enum(_) => 0,
    };
    size_of::<Value>() + inner
}

struct Print<'a> {
    hash: Sha256,
    variables: &'a Variables,
}

impl Print<'_> {
    fn set(&mut self, set: &SelectionSet, left_out: &[&str]) {
        self.text("{");
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    self.text(&field.node.response_key().node);
                    self.text(&field.node.name.node);
                    for (name, value) in &field.node.arguments {
                        if !left_out.contains(&name.node.as_str()) {
                            self.text(&name.node);
                            self.value(&value.node);
                        }
                    }
                    self.set(&field.node.selection_set.node, &[]);
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    self.text(condition.map_or("", |condition| &condition.node.on.node));
                    self.set(&inline.node.selection_set.node, &[]);
                }
                // Every fragment is spread.
                Selection::FragmentSpread(_) => {}
            }
        }
        self.text("}");
    }

    fn value(&mut self, value: &async_graphql_value::Value) {
        // A variable is known by its value.
        let value = value.clone().into_const_with(|name| {
            Ok::<_, std::convert::Infallible>(self.variables.get(&name).cloned().unwrap_or_default())
        });
        let Ok(value) = value;
        self.text(&value.to_string());
    }

    /// With its length, so that no two sequences of texts read the same.
    fn text(&mut self, text: &str) {
        self.hash.update(text.len().to_be_bytes());
        self.hash.update(text);
    }
}
