//! The arguments about how users get in: passwords, registration, and another login system.

use std::path::PathBuf;
use std::str::FromStr;

use axum::http::Uri;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::Switch;
use super::serve::Access;

/// Where a login system publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file of this machine.
    File(PathBuf),
    /// A resource of a web server.
    Url(Uri),
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !(text.starts_with("https://") || text.starts_with("http://")) {
            return Ok(Self::File(text.into()));
        }
        text.parse().map(Self::Url).map_err(|error| format!("not a URL: {error}"))
    }
}

/// The arguments about how users get in.
#[derive(Debug, Clone, Args)]
pub struct IdentityArgs {
    /// The key set (JWKS) of another login system whose tokens (JWT) herald believes: a URL or a file. herald reads it
    /// again every five minutes, and when a token names another key.
    #[arg(long, env = "HERALD_JWT_JWKS", value_name = "URL|FILE", requires_all = ["jwt_issuer", "jwt_audience"])]
    pub jwt_jwks: Option<KeySource>,
    /// The issuer (`iss`) that tokens must name.
    #[arg(long, env = "HERALD_JWT_ISSUER", value_name = "ISSUER", requires = "jwt_jwks", value_parser = NonEmptyStringValueParser::new())]
    pub jwt_issuer: Option<String>,
    /// The audience (`aud`) that tokens must name. Of several, separated by commas, one is enough.
    #[arg(
        long,
        env = "HERALD_JWT_AUDIENCE",
        value_name = "AUDIENCE",
        requires = "jwt_jwks",
        value_parser = NonEmptyStringValueParser::new(),
        value_delimiter = ','
    )]
    pub jwt_audience: Vec<String>,
    /// The claim from which a new user's handle is made. A handle that is taken gets a suffix.
    #[arg(long, env = "HERALD_JWT_HANDLE_CLAIM", value_name = "CLAIM", default_value = "preferred_username")]
    pub jwt_handle_claim: String,
    /// The claim from which a new user's display name is made.
    #[arg(long, env = "HERALD_JWT_NAME_CLAIM", value_name = "CLAIM", default_value = "name")]
    pub jwt_name_claim: String,
    /// Who may register: everybody (`open`), or nobody (`closed`). `herald user add` works in both cases.
    #[arg(long, env = "HERALD_REGISTRATION", value_enum, default_value_t = Access::Open)]
    pub registration: Access,
    /// Let users register and sign in with passwords.
    #[arg(long, env = "HERALD_PASSWORD_LOGIN", value_enum, default_value_t = Switch::On)]
    pub password_login: Switch,
    /// The login system at which the playground signs users in by OpenID Connect: the URL of its issuer.
    #[arg(long, env = "HERALD_OIDC_ISSUER", value_name = "URL", requires_all = ["oidc_client_id", "jwt_jwks"])]
    pub oidc_issuer: Option<String>,
    /// The id under which that login system knows the playground.
    #[arg(long, env = "HERALD_OIDC_CLIENT_ID", value_name = "ID", requires = "oidc_issuer")]
    pub oidc_client_id: Option<String>,
    /// What the playground asks that login system for. Some name the audience here.
    #[arg(
        long,
        env = "HERALD_OIDC_SCOPE",
        value_name = "SCOPE",
        default_value = "openid profile offline_access"
    )]
    pub oidc_scope: String,
}
