//! What a plan may come to, before anything is executed.

use async_graphql::{Value, Variables};

use super::plan::{Field, Inner, Items, Plan, Rows, Size};

/// The number of fields that an answer may have: each counted as often as the lists around it have elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::graphql) struct Cost(pub(in crate::graphql) u64);

impl Cost {
    /// The cost of an operation with these variables. It saturates.
    pub(in crate::graphql) fn of(plan: &Plan, variables: &Variables) -> Self {
        Self(set(&plan.root, variables))
    }
}

fn set(fields: &[Field], variables: &Variables) -> u64 {
    fields.iter().map(|field| cost(field, variables)).fold(0, u64::saturating_add)
}

fn cost(field: &Field, variables: &Variables) -> u64 {
    let each = match &field.inner {
        Inner::Leaf => return 1,
        Inner::Object(fields) | Inner::Introspection(fields) => set(fields, variables),
        // An object has one type.
        Inner::Abstract(types) => types.iter().map(|(_, fields)| set(fields, variables)).max().unwrap_or(0),
    };
    field.rows.of(variables).saturating_mul(each).saturating_add(1)
}

impl Rows {
    fn of(&self, variables: &Variables) -> u64 {
        match self {
            Self::Fixed(rows) => *rows,
            Self::Page { sizes, default } => {
                sizes.iter().find_map(|size| size.of(variables)).unwrap_or(*default)
            }
            Self::Items(Items::Given(items)) => *items,
            Self::Items(Items::Variable(name)) => match variables.get(name) {
                Some(Value::List(items)) => items.len() as u64,
                Some(_) | None => 1,
            },
        }
    }
}

impl Size {
    /// The size, where it is given. A negative one is refused when it is executed, and costs nothing.
    fn of(&self, variables: &Variables) -> Option<u64> {
        match self {
            Self::Given(size) => Some(*size),
            Self::Variable(name) => match variables.get(name)? {
                Value::Number(size) => Some(size.as_u64().unwrap_or(0)),
                _ => None,
            },
        }
    }
}
