//! What stands in a request for somebody: it tells the kinds apart. Where it travels is the transports' business.

use std::str::FromStr;

use super::jwt::Jwt;
use super::service::ServiceKey;
use super::token::Token;
use crate::error::Error;

/// What a request shows to prove who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token that herald gave out.
    Token(Token),
    /// A token of another login system.
    Jwt(Jwt),
    /// The key of a service.
    Service(ServiceKey),
}

impl FromStr for Credential {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if ServiceKey::is_meant_by(text) {
            return text.parse().map(Self::Service);
        }
        // A token of herald's has no dot, and a JWT has two.
        match Jwt::parse(text)? {
            Some(jwt) => Ok(Self::Jwt(jwt)),
            None => text.parse().map(Self::Token),
        }
    }
}
