//! The plan of an operation: its fields in the order of the response, each once, and the syntax tree that async-graphql
//! executes.

use std::collections::HashMap;

use apollo_compiler::ast::Type;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Value, Variables};
use sha2::{Digest, Sha256};

/// The key under which the executor answers the type of an object. No document can use it.
pub(in crate::graphql) const TYPENAME: &str = "\0typename";

/// The arguments of a subscription that select events, and do not change how an event is rendered.
const SELECTING_ARGUMENTS: [&str; 4] = ["after", "conversationId", "includeOwn", "checkpoints"];

/// Bytes of memory that a field of a plan takes, with its part of the syntax tree. The number was measured.
const MEMORY_BYTES_PER_FIELD: usize = 800;

/// A field of the response.
#[derive(Debug)]
pub(in crate::graphql) struct Field {
    /// Its response key.
    pub(in crate::graphql) key: Name,
    /// Its type, which says whether it may be null.
    pub(in crate::graphql) ty: Type,
    pub(in crate::graphql) inner: Inner,
    /// How many elements its value has.
    pub(super) rows: Rows,
}

/// What is selected of a field's value.
#[derive(Debug)]
pub(in crate::graphql) enum Inner {
    /// A scalar or an enum, of which nothing is selected.
    Leaf,
    /// These fields of an object.
    Object(Box<[Field]>),
    /// These fields for each type that the object can have.
    Abstract(Box<[(Name, Box<[Field]>)]>),
    /// These fields of the schema itself. The schema answers them, not a resolver.
    Introspection(Box<[Field]>),
}

/// How many elements the value of a field has.
#[derive(Debug)]
pub(super) enum Rows {
    /// This number: 1 for a value that is not a list.
    Fixed(u64),
    /// The size of a page: the first of these sizes that has a value, or else the default.
    Page { sizes: Vec<Size>, default: u64 },
    /// One for each element of a list argument.
    Items(Items),
}

/// The size of a page that an argument gives.
#[derive(Debug)]
pub(super) enum Size {
    Given(u64),
    Variable(Name),
}

/// The length of a list that an argument gives.
#[derive(Debug)]
pub(super) enum Items {
    Given(u64),
    Variable(Name),
}

/// A variable that stands for another one. It takes the default of the argument when the other one has no value.
#[derive(Debug)]
pub(super) struct Defaulted {
    pub(super) name: Name,
    pub(super) stands_for: Name,
    pub(super) default: Value,
}

/// What an operation selects, after its fragments are spread, its conditions applied and its fields merged.
#[derive(Debug)]
pub(in crate::graphql) struct Plan {
    /// Query, mutation or subscription.
    pub(in crate::graphql) kind: OperationType,
    pub(in crate::graphql) root: Box<[Field]>,
    /// Whether resolvers answer any root field.
    pub(in crate::graphql) has_resolved: bool,
    /// Whether a root field asks about the schema.
    pub(in crate::graphql) asks_schema: bool,
    /// Whether it selects `Query.cursor`. Then herald must read the head of the log first.
    pub(in crate::graphql) asks_cursor: bool,
    /// How many fields it selects. A field counts once for each type that its parent can have.
    pub(in crate::graphql) fields: usize,
    pub(super) operation: Positioned<OperationDefinition>,
    pub(super) defaulted: Vec<Defaulted>,
}

impl Plan {
    /// About how many bytes of memory it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        let arguments = arguments_bytes(&self.operation.node.selection_set.node);
        MEMORY_BYTES_PER_FIELD * (self.fields + 1) + arguments
    }

    /// The document for the executor. It has each field once, in the order of the response.
    pub(in crate::graphql) fn executable(&self) -> ExecutableDocument {
        ExecutableDocument {
            operations: DocumentOperations::Single(self.operation.clone()),
            fragments: HashMap::new(),
        }
    }

    /// The variables for the executor: these, and the ones that stand for defaults.
    pub(in crate::graphql) fn variables(&self, variables: &Variables) -> Variables {
        let mut all = variables.clone();
        for Defaulted { name, stands_for, default } in &self.defaulted {
            all.insert(name.clone(), variables.get(stands_for).unwrap_or(default).clone());
        }
        all
    }

    /// Whether a subscription selects this field of the events of this type.
    pub(in crate::graphql) fn selects_of_events(&self, ty: &str, field: &str) -> bool {
        let roots = fields_of(&self.operation.node.selection_set.node);
        let of_type =
            roots.flat_map(|root| &root.selection_set.node.items).filter_map(|item| match &item.node {
                Selection::InlineFragment(inline) => Some(&inline.node),
                Selection::Field(_) | Selection::FragmentSpread(_) => None,
            });
        let of_type = of_type.filter(|inline| {
            inline.type_condition.as_ref().is_some_and(|condition| condition.node.on.node == ty)
        });
        of_type
            .flat_map(|inline| fields_of(&inline.selection_set.node))
            .any(|selected| selected.name.node == field)
    }

    /// A digest of everything that can change how an event is rendered. It leaves out where a subscription begins and
    /// which conversation it follows.
    pub(in crate::graphql) fn fingerprint(&self, variables: &Variables) -> [u8; 16] {
        let mut fingerprint = Fingerprint { hash: Sha256::new(), variables };
        fingerprint.set(&self.operation.node.selection_set.node, &SELECTING_ARGUMENTS);
        let digest = fingerprint.hash.finalize();
        std::array::from_fn(|i| digest[i])
    }
}

/// The fields that a selection names itself.
fn fields_of(set: &SelectionSet) -> impl Iterator<Item = &async_graphql::parser::types::Field> {
    set.items.iter().filter_map(|item| match &item.node {
        Selection::Field(field) => Some(&field.node),
        Selection::InlineFragment(_) | Selection::FragmentSpread(_) => None,
    })
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

struct Fingerprint<'a> {
    hash: Sha256,
    variables: &'a Variables,
}

impl Fingerprint<'_> {
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
                // A plan has no fragment spreads.
                Selection::FragmentSpread(_) => {}
            }
        }
        self.text("}");
    }

    fn value(&mut self, value: &async_graphql_value::Value) {
        // A variable counts by its value.
        let value = value.clone().into_const_with(|name| {
            Ok::<_, std::convert::Infallible>(self.variables.get(&name).cloned().unwrap_or_default())
        });
        let Ok(value) = value;
        self.text(&value.to_string());
    }

    /// Adds the text with its length, so that different sequences of texts never look the same.
    fn text(&mut self, text: &str) {
        self.hash.update(text.len().to_be_bytes());
        self.hash.update(text);
    }
}
