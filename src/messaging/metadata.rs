//! What clients keep beside a conversation, a message or a participation: any JSON, which herald stores and does not read.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::Invalid;

/// A JSON value that is small enough to be stored. Two are equal when they are the same value: the order of members
/// does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Metadata(Arc<str>);

impl Metadata {
    /// The most bytes of the value, written as JSON without spaces.
    pub const MAX_BYTES: usize = 4_096;

    /// The most lists and objects that may be inside one another.
    pub const MAX_DEPTH: usize = 16;

    /// Checks a value.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !is_within(value, Self::MAX_DEPTH) {
            let depth = Self::MAX_DEPTH;
            return Err(Invalid(format!("must have at most {depth} lists and objects inside one another")));
        }
        // Members are written in the order of their names, so one value has one text.
        let text = value.to_string();
        if text.len() > Self::MAX_BYTES {
            let (size, most) = (text.len(), Self::MAX_BYTES);
            return Err(Invalid(format!("must have at most {most} bytes as JSON, and has {size}")));
        }
        Ok(Self(text.into()))
    }

    /// Takes a text without a check, because it was checked before it was stored.
    pub fn trusted(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The value as JSON without spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value. Null if the stored text is damaged.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_within(value: &Value, depth: usize) -> bool {
    let inside = |value| depth > 0 && is_within(value, depth - 1);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(values) => depth > 0 && values.iter().all(inside),
        Value::Object(members) => depth > 0 && members.values().all(inside),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Metadata, Invalid> {
        Metadata::parse(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_order_of_members_and_spaces_do_not_matter() {
        let one = parse(r#"{"a": [1, null], "b": {"y": 1.5, "x": "\u0000"}}"#).unwrap();
        assert_eq!(one, parse(r#"{"b":{"x":"\u0000","y":1.5},"a":[1,null]}"#).unwrap());
        assert_eq!(one.value(), json!({ "a": [1, null], "b": { "y": 1.5, "x": "\0" } }));
        assert_ne!(one, parse("{}").unwrap());
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_refused() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(Metadata::MAX_DEPTH)).is_ok());
        assert!(parse(&nested(Metadata::MAX_DEPTH + 1)).is_err());
        let text = |bytes: usize| json!("a".repeat(bytes - 2));
        assert!(Metadata::parse(&text(Metadata::MAX_BYTES)).is_ok());
        assert!(Metadata::parse(&text(Metadata::MAX_BYTES + 1)).is_err());
    }
}
