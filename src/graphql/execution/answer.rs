//! What an execution came to, as the JSON of a response.
//!
//! async-graphql answers fields in the order in which they complete, leaves out those that failed, and takes an object
//! of which nothing is selected for null. Here fields come in the order of the selection, and a field that failed is
//! null or takes its parent along (<https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors>). It is
//! written in one pass. What turns out to be null is cut off again.

use apollo_compiler::ast::Type;
use apollo_compiler::response::JsonMap;
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, PathSegment, ServerError, Value};
use serde::Serialize;

use crate::graphql::document::{Field, Inner, Plan, TYPENAME};
use crate::graphql::response::Data;

/// The answer is larger than it may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Writes the data of a response, of at most `most` bytes. What is not known yet is null, and a gap.
///
/// `introspected` has what was asked about the schema.
///
/// # Errors
/// [`TooLarge`], as soon as it is.
pub(crate) fn write(
    plan: &Plan,
    data: &Value,
    errors: &[ServerError],
    introspected: &JsonMap,
    most: usize,
) -> Result<Data, TooLarge> {
    let mut writer =
        Writer { out: Vec::new(), gaps: Vec::new(), most, errors, path: Vec::new(), introspected };
    if !writer.object(&plan.root, fields_of(data))? {
        return Ok(Data::from("null"));
    }
    // Only texts were written.
    Ok(Data { json: String::from_utf8(writer.out).unwrap_or_default(), gaps: writer.gaps })
}

type Fields = IndexMap<Name, Value>;

fn fields_of(value: &Value) -> Option<&Fields> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// A step of the path from the root to a value.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Step<'_> {
    fn is(&self, segment: &PathSegment) -> bool {
        match (self, segment) {
            (Self::Key(key), PathSegment::Field(field)) => key == field,
            (Self::Index(index), PathSegment::Index(other)) => index == other,
            _ => false,
        }
    }
}

struct Writer<'a> {
    out: Vec<u8>,
    /// Where something is to be filled in.
    gaps: Vec<usize>,
    most: usize,
    errors: &'a [ServerError],
    path: Vec<Step<'a>>,
    introspected: &'a JsonMap,
}

impl<'a> Writer<'a> {
    /// Writes an object. `values` is `None` when every field failed. Returns false when the object turns out to be null.
    /// The caller then cuts off what was written of it.
    fn object(&mut self, fields: &'a [Field], values: Option<&'a Fields>) -> Result<bool, TooLarge> {
        self.out.push(b'{');
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.json(field.key.as_str())?;
            self.out.push(b':');
            self.path.push(Step::Key(&field.key));
            let is_written = match &field.inner {
                Inner::Introspection(_) => {
                    let introspected = self.introspected;
                    self.json(&introspected.get(field.key.as_str())).map(|()| true)
                }
                inner => {
                    let value = values.and_then(|values| values.get(&field.key));
                    self.value(value.unwrap_or(&Value::Null), &field.ty, inner)
                }
            };
            self.path.pop();
            if !is_written? {
                return Ok(false);
            }
        }
        self.out.push(b'}');
        Ok(true)
    }

    /// Writes a value. Returns false when the value is null although its type forbids that. Its parent is then null.
    fn value(&mut self, value: &'a Value, ty: &'a Type, inner: &'a Inner) -> Result<bool, TooLarge> {
        let start = self.out.len();
        let is_written = match value {
            Value::List(items) if ty.is_list() => self.list(items, ty.item_type(), inner)?,
            Value::Null if !ty.is_list() => match inner {
                Inner::Object(fields) if self.failed_inside() => self.object(fields, None)?,
                _ => false,
            },
            Value::Null => false,
            value => match inner {
                Inner::Leaf if matches!(value, Value::Binary(_)) => {
                    self.gaps.push(start);
                    false
                }
                Inner::Leaf => self.json(value).map(|()| true)?,
                Inner::Object(fields) | Inner::Introspection(fields) => {
                    self.object(fields, fields_of(value))?
                }
                Inner::Abstract(types) => {
                    let values = fields_of(value);
                    let name = values.and_then(|values| values.get(TYPENAME));
                    let of_type =
                        types.iter().find(|(ty, _)| matches!(name, Some(Value::String(name)) if ty == name));
                    match of_type {
                        Some((_, fields)) => self.object(fields, values)?,
                        None => false,
                    }
                }
            },
        };
        if is_written {
            return Ok(true);
        }
        self.out.truncate(start);
        if ty.is_non_null() {
            return Ok(false);
        }
        // What was written inside is cut off. A gap at this very place is this value itself.
        while self.gaps.last().is_some_and(|gap| *gap > start) {
            self.gaps.pop();
        }
        self.out.extend_from_slice(b"null");
        Ok(true)
    }

    fn list(&mut self, items: &'a [Value], ty: &'a Type, inner: &'a Inner) -> Result<bool, TooLarge> {
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(Step::Index(index));
            let is_written = self.value(item, ty, inner);
            self.path.pop();
            if !is_written? {
                return Ok(false);
            }
        }
        self.out.push(b']');
        Ok(true)
    }

    /// Whether a field of the object at the present path failed, or something inside one.
    fn failed_inside(&self) -> bool {
        let leads_here = |error: &ServerError| {
            error.path.len() > self.path.len()
                && self.path.iter().zip(&error.path).all(|(step, segment)| step.is(segment))
        };
        self.errors.iter().any(leads_here)
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), TooLarge> {
        // Writing to a vector cannot fail, and everything here can be written as JSON.
        let _ = serde_json::to_writer(&mut self.out, value);
        if self.out.len() > self.most { Err(TooLarge) } else { Ok(()) }
    }
}
