//! The cost of a plan, which is known before anything is executed.

use async_graphql::{Value, Variables};

use super::plan::{Field, Inner, Items, Plan, Rows, Size};

/// The number of fields that an answer may have. Each field counts once for each element of the lists around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::graphql) struct Cost(pub(in crate::graphql) u64);

impl Cost {
    /// The cost of an operation with these variables. It saturates at `u64::MAX`.
    pub(in crate::graphql) fn of(plan: &Plan, variables: &Variables) -> Self {
        Self(cost_of_set(&plan.root, variables))
    }
}

fn cost_of_set(fields: &[Field], variables: &Variables) -> u64 {
    fields.iter().map(|field| cost(field, variables)).fold(0, u64::saturating_add)
}

fn cost(field: &Field, variables: &Variables) -> u64 {
    let each = match &field.inner {
        Inner::Leaf => return 1,
        Inner::Object(fields) | Inner::Introspection(fields) => cost_of_set(fields, variables),
        // The object has one of these types.
        Inner::Abstract(types) => {
            types.iter().map(|(_, fields)| cost_of_set(fields, variables)).max().unwrap_or(0)
        }
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
    /// The size; `None` when no value is given. A negative size costs nothing, and is refused when it is executed.
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
