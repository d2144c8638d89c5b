//! Texts that have been checked. A value of one of these types needs no further check.

mod characters;

use std::fmt;
use std::sync::Arc;

use self::characters::{breaks_line, closes_its_directions, is_blank};
use super::UserId;

/// Why a text is refused, for the person who wrote it. The phrase follows the name of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a text without a check, because it was checked before it was stored.
            pub fn trusted(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// The name by which a user is found: 3 to 32 of `a-z`, `0-9`, `_` and `-`.
    Handle
);
text!(
    /// The id under which another system knows a user: 1 to 255 characters of one line, with at least one visible
    /// character. The limit is that of `sub` in OpenID Connect (Core 1.0, section 2).
    ExternalId
);
text!(
    /// A name as people write it: 1 to 100 characters of one line, with at least one visible character.
    DisplayName
);
text!(
    /// A conversation's title: 1 to 200 characters of one line, with at least one visible character.
    Title
);
text!(
    /// A message's text: at least one visible character, and at most as many characters as the operator allows.
    Body
);
text!(
    /// A client's own name for one thing that it creates: 1 to 128 characters of one line, with at least one visible
    /// character.
    IdempotencyKey
);
text!(
    /// A client's name for one of its connections: 1 to 64 printable ASCII characters without spaces.
    ConnectionId
);
text!(
    /// Why a message could not be brought to somebody: 1 to 500 characters of one line, with at least one visible
    /// character.
    Reason
);
text!(
    /// The name that an operator gives a service: 1 to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`.
    ServiceName
);

impl Handle {
    /// Checks a handle. Upper case is refused and not converted, so that a handle has one spelling.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (3..=32).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid("must be 3 to 32 of a-z, 0-9, _ and -".into()))
        }
    }
}

/// What the handle of an erased user begins with. No handle that a user chooses or is given has the last character.
const ERASED: &str = "erased~";

impl Handle {
    /// What an erased user has in the place of a handle: nobody can take it before, and nobody finds the user by it.
    #[must_use]
    pub fn of_erased(user: UserId) -> Self {
        Self(format!("{ERASED}{}", user.0.simple()).into())
    }

    /// Whether it says that its user was erased. Earlier versions gave a handle that others could have taken, but not
    /// before they knew the id.
    #[must_use]
    pub fn is_of_erased(&self, user: UserId) -> bool {
        let digits = user.0.simple().to_string();
        let by_earlier_versions = || self.0.strip_prefix("erased-").is_some_and(|end| end == &digits[20..]);
        self.0.starts_with(ERASED) || by_earlier_versions()
    }
}

impl ExternalId {
    /// Checks an id of another system.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        one_line(text, 255).map(Self)
    }
}

impl DisplayName {
    /// Checks a display name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        one_line(text, 100).map(Self)
    }
}

impl Title {
    /// Checks a title.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        one_line(text, 200).map(Self)
    }
}

impl Body {
    /// Checks a message's text of at most `max_chars` characters. The text is kept unchanged.
    pub fn parse(text: &str, max_chars: usize) -> Result<Self, Invalid> {
        check_length(text, max_chars)?;
        if is_blank(text) {
            return Err(blank());
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
            return Err(Invalid("must not contain control characters other than newline and tab".into()));
        }
        Ok(Self(text.into()))
    }
}

impl IdempotencyKey {
    /// Checks an idempotency key.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        one_line(text, 128).map(Self)
    }
}

impl ConnectionId {
    /// Checks a connection id. It must fit into a header, because `X-Connection-Id` carries it too.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid("must be 1 to 64 printable ASCII characters without spaces".into()))
        }
    }
}

impl Reason {
    /// Checks a reason.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        one_line(text, 500).map(Self)
    }
}

impl ServiceName {
    /// Checks the name of a service.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid("must be 1 to 64 of a-z, A-Z, 0-9, ., _ and -".into()))
        }
    }
}

fn one_line(text: &str, max_chars: usize) -> Result<Arc<str>, Invalid> {
    check_length(text, max_chars)?;
    if is_blank(text) {
        return Err(blank());
    }
    if text.chars().any(breaks_line) {
        return Err(Invalid("must be one line without control characters".into()));
    }
    if !closes_its_directions(text) {
        return Err(Invalid(
            "must end every change of the writing direction that it begins, and no other".into(),
        ));
    }
    Ok(text.into())
}

fn blank() -> Invalid {
    Invalid("must have at least one visible character".into())
}

fn check_length(text: &str, max_chars: usize) -> Result<(), Invalid> {
    // A character has at most four bytes. So a huge text is refused without counting its characters.
    if text.len() > max_chars.saturating_mul(4) || text.chars().count() > max_chars {
        return Err(Invalid(format!("must have at most {max_chars} characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_have_one_spelling() {
        assert!(Handle::parse("ada_l-1").is_ok());
        for bad in ["ab", "Ada", "ada lovelace", "ädä", "", &"a".repeat(33)] {
            assert!(Handle::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bodies_keep_every_script_and_refuse_control_characters() {
        for good in ["hi", "a\nb\tc\r\n", "👩‍👩‍👧‍👦", "שלום", "\u{202b}e\u{301}\u{2028}"]
        {
            assert_eq!(Body::parse(good, 100).unwrap().as_str(), good);
        }
        for bad in ["", " \n ", "a\0b", "\u{7}", "\u{85}", "\u{200b}", "\n\u{3164}"] {
            assert!(Body::parse(bad, 100).is_err(), "{bad:?}");
        }
        assert!(Body::parse(&"é".repeat(100), 100).is_ok());
        assert!(Body::parse(&"é".repeat(101), 100).is_err());
    }

    #[test]
    fn one_line_has_no_line_break_and_reverses_nothing_around_it() {
        for good in ["Ada", "שלום", "\u{2067}שלום\u{2069} Ada", "a\u{200d}b"] {
            assert_eq!(Title::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "\u{2800}", "a\nb", "a\u{85}b", "a\u{2028}b", "a\u{2029}", "\u{202e}a", "a\u{2069}"] {
            assert!(Title::parse(bad).is_err(), "{bad:?}");
            assert!(DisplayName::parse(bad).is_err(), "{bad:?}");
            assert!(IdempotencyKey::parse(bad).is_err(), "{bad:?}");
        }
    }
}
