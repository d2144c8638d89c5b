//! Reading the members of a JSON object one by one, so that what is wrong with one of them leaves the others readable.
//!
//! serde's derived structs are not enough for that: one bad member fails them as a whole, and they take an array for
//! an object.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A member of an object, which is JSON that was scanned but not read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Member<'a> {
    /// It is not there.
    #[default]
    Absent,
    /// Its value.
    Once(&'a RawValue),
    /// It is there more than once, so nobody can tell what is meant.
    Repeated,
}

impl<'a> From<Option<&'a RawValue>> for Member<'a> {
    fn from(value: Option<&'a RawValue>) -> Self {
        value.map_or(Self::Absent, Self::Once)
    }
}

impl<'a> Member<'a> {
    /// The value as a `T`, which is called `kind` in the refusal; `None` where the member is absent or null.
    ///
    /// # Errors
    /// What is wrong with the member that is called `name`.
    pub(crate) fn read<T: DeserializeOwned>(self, name: &str, kind: &str) -> Result<Option<T>, String> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| {
            if error.is_data() { format!("`{name}` must be {kind}") } else { unreadable(name, &error) }
        })
    }

    /// The value, which must be an object, as its members of these names.
    ///
    /// # Errors
    /// What is wrong with the member that is called `name`.
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
            Self::Repeated => Err(format!("`{name}` is there more than once")),
        }
    }
}

/// The members of these names of the object that `text` is. Others are passed over, whatever is in them, as long as
/// it is JSON: how deep it is, how large its numbers are and what its strings escape is looked at by whoever reads
/// them.
pub(crate) fn members<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> serde_json::Result<[Member<'a>; N]> {
    let mut reader = serde_json::Deserializer::from_str(without_mark(text));
    let members = Object(names).deserialize(&mut reader)?;
    reader.end()?;
    Ok(members)
}

/// The text without the byte order mark with which some editors and libraries begin it (RFC 8259, section 8.1).
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The place in the text is left out: it would be that within the member.
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

/// Which of these names a key is. It is compared as bytes, so that a key that is no valid text is merely unknown.
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
    fn what_is_wrong_with_one_member_leaves_the_others_readable() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for odd in ["1e400", r#""\ud83d""#, "null", deep.as_str(), r#"{"a":"other"}"#] {
            assert_eq!(strings(&format!(r#"{{"b":{odd},"a":"x","\ud83d":{odd}}}"#)), Ok(Some("x".into())));
        }
    }

    #[test]
    fn a_member_is_read_or_named_in_the_refusal() {
        assert_eq!(strings("\u{feff}{\"\\u0061\":\"x\"}"), Ok(Some("x".into())));
        assert_eq!(strings("{}"), Ok(None));
        assert_eq!(strings(r#"{"a":null}"#), Ok(None));
        assert_eq!(strings(r#"{"a":7}"#), Err("`a` must be a string".into()));
        assert_eq!(strings(r#"{"a":"1","a":"1"}"#), Err("`a` is there more than once".into()));
        assert!(strings(r#"{"a":"\ud83d"}"#).unwrap_err().starts_with("`a` cannot be read: "));
    }

    #[test]
    fn only_an_object_has_members() {
        for other in ["", "[]", r#"["x"]"#, "null", "7", r#"{"a":"x"} {}"#, r#"{"a":"x""#, "{'a':1}"] {
            assert!(strings(other).is_err(), "{other}");
        }
    }
}
