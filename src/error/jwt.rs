//! Why a JSON Web Token is not believed.

/// Why a JWT is not believed. Whoever sends it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JwtRefusal {
    /// herald believes no other login system.
    NoLoginSystem,
    /// It is too long to be read.
    TooLong {
        /// The most bytes of a token.
        max_bytes: usize,
    },
    /// It is no JWT, or of a kind that herald does not read.
    Malformed,
    /// Its algorithm is none that its key is for.
    Algorithm,
    /// Its key is not in the key set.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// It has expired.
    Expired,
    /// It does not hold yet.
    NotYetValid,
    /// Another system issued it.
    Issuer,
    /// It is meant for another system.
    Audience,
    /// A claim is missing or wrong.
    Claim(&'static str),
}

impl JwtRefusal {
    /// What is wrong with the token, and what to do: a sentence.
    pub fn message(&self) -> String {
        match self {
            Self::NoLoginSystem => "This is a JWT, and herald was started without --jwt-jwks: sign in with \
                 `login`, and send its token."
                .into(),
            Self::TooLong { max_bytes } => {
                format!(
                    "The token is longer than {max_bytes} bytes: ask the login system for one with fewer claims."
                )
            }
            Self::Malformed => {
                "The token is no JWT that herald can read: it must be signed with a public-key \
                 algorithm (RS256, PS256, ES256, EdDSA or a longer one of these)."
                    .into()
            }
            Self::Algorithm => {
                "The token's algorithm is not one of its key: it must be a public-key algorithm \
                 that the key set allows."
                    .into()
            }
            Self::UnknownKey => "The token's key (`kid`) is not in the key set: sign in again at your login \
                 system."
                .into(),
            Self::Signature => "The token's signature is wrong: it was not signed by the login system that \
                 herald believes."
                .into(),
            Self::Expired => "The token has expired: renew it at your login system.".into(),
            Self::NotYetValid => "The token does not hold yet (`nbf`): compare the clocks.".into(),
            Self::Issuer => "The token is of another issuer (`iss`) than herald believes.".into(),
            Self::Audience => {
                "The token is for another audience (`aud`): ask your login system for one that \
                 is for herald."
                    .into()
            }
            Self::Claim(claim) => format!("The token has no usable claim `{claim}`."),
        }
    }
}
