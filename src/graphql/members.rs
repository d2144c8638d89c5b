//! Reads the members of a JSON object one by one, so that a bad member leaves the others readable.
//!
//! A struct that derives serde's traits cannot do that: one bad member fails the whole struct, and it accepts an array
//! instead of an object.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A member of an object. Its JSON is known to be complete, and not yet read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Member<'a> {
    /// The object does not have it.
    #[default]
    Absent,
    /// The object has it once, with this value.
    Once(&'a RawValue),
    /// The object has it more than once, so nobody knows which value is meant.
    Repeated,
}

impl<'a> From<Option<&'a RawValue>> for Member<'a> {
    fn from(value: Option<&'a RawValue>) -> Self {
        value.map_or(Self::Absent, Self::Once)
    }
}

impl<'a> Member<'a> {
    /// The value as a `T`; `None` when the member is absent or null. The error calls the member `name`, and a `T`
    /// `kind`.
    ///
    /// # Errors
    /// What is wrong with the member, as the end of a sentence.
    pub(crate) fn read<T: DeserializeOwned>(self, name: &str, kind: &str) -> Result<Option<T>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| {
            if error.is_data() { format!("`{name}` must be {kind}") } else { unreadable(name, &error) }
        })
    }

    /// The members with these names of the value, which must be an object; `None` when the member is absent or null.
    /// The error calls the member `name`.
    ///
    /// # Errors
    /// What is wrong with the member, as the end of a sentence.
    pub(crate) fn object<const N: usize>(
        self,
        name: &str,
        names: [&str; N],
    ) -> Result<Option<[Member<'a>; N]>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        members(text, names).map(Some).map_err(|error| {
            if error.is_data() { format!("`{name}` must be an object") } else { unreadable(name, &error) }
        })
    }

    fn text(self, name: &str) -> Result<Option<&'a str>, String> {
        match self {
            Self::Absent => Ok(None),
            Self::Once(value) => Ok(Some(value.get()).filter(|text| *text != "null")),
            Self::Repeated => Err(format!("`{name}` appears more than once")),
        }
    }
}

/// The members with these names of the object in `text`. Other members are skipped, and may hold any JSON. Depth,
/// numbers and escapes inside a member are checked only when the member is read.
pub(crate) fn members<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> serde_json::Result<[Member<'a>; N]> {
    let mut reader = serde_json::Deserializer::from_str(without_byte_order_mark(text));
    let members = Object(names).deserialize(&mut reader)?;
    reader.end()?;
    Ok(members)
}

/// The text without a byte order mark, which some editors and libraries write at its start (RFC 8259, section 8.1).
fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The error without its line and column, which would count from the start of the member.
fn unreadable(name: &str, error: &serde_json::Error) -> String {
    let reason = error.to_string();
    format!("`{name}` cannot be read: {}", reason.split(" at line ").next().unwrap_or_default())
}

struct Object<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Object<'_, N> {
    type Value = [Member<'de>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Object<'_, N> {
    type Value = [Member<'de>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [Member::Absent; N];
        while let Some(index) = map.next_key_seed(Name(&self.0))? {
            match index {
                Some(index) => {
                    let value: &'de RawValue = map.next_value()?;
                    found[index] = match found[index] {
                        Member::Absent => Member::Once(value),
                        Member::Once(_) | Member::Repeated => Member::Repeated,
                    };
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The index of a key among these names. Keys are compared as bytes, so a key that is not valid text is an unknown
/// name.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|name| name.as_bytes() == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Result<Option<String>, String> {
        let [a] = members(text, ["a"]).map_err(|error| error.to_string())?;
        a.read("a", "a string")
    }

    #[test]
    fn a_bad_member_leaves_the_others_readable() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for odd in ["1e400", r#""\ud83d""#, "null", deep.as_str(), r#"{"a":"other"}"#] {
            assert_eq!(strings(&format!(r#"{{"b":{odd},"a":"x","\ud83d":{odd}}}"#)), Ok(Some("x".into())));
        }
    }

    #[test]
    fn a_member_is_read_or_named_in_the_error() {
        assert_eq!(strings("\u{feff}{\"\\u0061\":\"x\"}"), Ok(Some("x".into())));
        assert_eq!(strings("{}"), Ok(None));
        assert_eq!(strings(r#"{"a":null}"#), Ok(None));
        assert_eq!(strings(r#"{"a":7}"#), Err("`a` must be a string".into()));
        assert_eq!(strings(r#"{"a":"1","a":"1"}"#), Err("`a` appears more than once".into()));
        assert!(strings(r#"{"a":"\ud83d"}"#).unwrap_err().starts_with("`a` cannot be read: "));
    }

    #[test]
    fn only_an_object_has_members() {
        for other in ["", "[]", r#"["x"]"#, "null", "7", r#"{"a":"x"} {}"#, r#"{"a":"x""#, "{'a':1}"] {
            assert!(strings(other).is_err(), "{other}");
        }
    }
}
