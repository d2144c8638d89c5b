//! What a service may do.

use std::fmt;
use std::str::FromStr;

/// One thing that a service may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Make, update and disable users.
    Provision,
    /// Change something for a user, and report what could not be delivered.
    Send,
    /// Read and follow for a user, and follow the whole log.
    Read,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Provision, Self::Send, Self::Read];

    /// The word that stands for it on the command line and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Send => "send",
            Self::Read => "read",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|scope| scope.name() == text);
        known.ok_or_else(|| "a scope is provision, send or read".to_owned())
    }
}

/// Everything that a service may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// These scopes; order and repetition do not matter.
    pub fn new(scopes: &[Scope]) -> Self {
        Self(Scope::ALL.into_iter().filter(|scope| scopes.contains(scope)).collect())
    }

    /// The scopes that are stored as `text`. A scope of a later herald counts as none.
    pub(super) fn stored(text: &str) -> Self {
        Self(text.split(' ').filter_map(|word| word.parse().ok()).collect())
    }

    /// Whether this scope is among them.
    pub fn hold(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
}

/// Writes the words with a space between them, as they are stored.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_stored() {
        let scopes = Scopes::new(&[Scope::Read, Scope::Send, Scope::Read]);
        assert_eq!(scopes.to_string(), "send read");
        assert_eq!(Scopes::stored("send read later"), scopes);
        assert!(scopes.hold(Scope::Send) && !scopes.hold(Scope::Provision));
        assert!("Send".parse::<Scope>().is_err());
    }
}
