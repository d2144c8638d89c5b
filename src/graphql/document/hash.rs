//! The SHA-256 that names a document.

use std::fmt;

use sha2::{Digest, Sha256};

/// The SHA-256 of a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::graphql) struct Hash([u8; 32]);

impl Hash {
    /// The hash of a text.
    pub(in crate::graphql) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Reads 64 hexadecimal digits of any case; `None` for every other text.
    pub(in crate::graphql) fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_other_tools_write_it() {
        // `printf '{ cursor }' | sha256sum`
        let text = "9ddbb82a63e1aadc3afd65a86726a54578af7adb85cd9b8ac83d23818708294e";
        assert_eq!(Hash::of("{ cursor }").to_string(), text);
        assert_eq!(Hash::parse(text), Some(Hash::of("{ cursor }")));
        assert_eq!(Hash::parse(&text.to_uppercase()), Hash::parse(text));
        for bad in ["", "xyz", &text[1..], &format!("{text}0"), &format!("+1{}", &text[2..])] {
            assert_eq!(Hash::parse(bad), None, "{bad}");
        }
    }
}
