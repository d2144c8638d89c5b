//! The bearer token of a session. Where it travels is the transports' business, and what it stands for is in `session`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::random;

/// The characters of every token.
pub(super) const CHARS: usize = 43;

/// A bearer token: 256 random bits, known to its holder alone. The server keeps a hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    pub(super) fn draw() -> Self {
        Self(random::bytes())
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // The decoder's error says where a text is no token. A client needs only to know that it is none.
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Unauthenticated)?;
        bytes.try_into().map(Self).map_err(|_| Error::Unauthenticated)
    }
}
