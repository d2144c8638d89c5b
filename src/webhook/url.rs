//! The URL of a webhook.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::Uri;

use super::address::is_public;

/// The most bytes of a URL.
const MAX_URL_BYTES: usize = 2_048;

/// The URL that a webhook calls. `Display` shows where it leads and not the rest, which may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    uri: Uri,
    /// The host, without the brackets of an IPv6 address.
    host: String,
}

impl WebhookUrl {
    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn uri(&self) -> Uri {
        self.uri.clone()
    }

    /// Checks what the URL alone says of where calls go. A name is checked when it is resolved, at every connection.
    ///
    /// # Errors
    /// Why herald calls no such URL, for the operator.
    pub fn check(&self, allow_private: bool) -> Result<(), String> {
        if allow_private {
            return Ok(());
        }
        if self.uri.scheme_str() != Some("https") {
            return Err(format!(
                "{self}: a webhook has an https URL, since calls carry what people write: \
                 --webhook-allow-private allows http, for tests and networks of your own"
            ));
        }
        match self.host.parse::<IpAddr>() {
            Ok(address) if !is_public(address) => Err(format!(
                "{self} is not on the public internet: --webhook-allow-private allows webhooks on networks of your own"
            )),
            _ => Ok(()),
        }
    }
}

impl FromStr for WebhookUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What is wrong is said without the text, which may hold a secret.
        if text.len() > MAX_URL_BYTES {
            return Err(format!("a webhook's URL has at most {MAX_URL_BYTES} bytes"));
        }
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("a webhook's URL begins with https:// (or http://)".into());
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err("a webhook's URL has no user and no password: calls are signed instead".into());
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("a webhook's URL names a host".into());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if has_port && uri.port_u16().is_none_or(|port| port == 0) {
            return Err("the port of a webhook's URL is from 1 to 65535".into());
        }
        if text.contains('#') {
            return Err("a webhook's URL has no fragment (#): nothing of it would reach the receiver".into());
        }
        Ok(Self { text: text.to_owned(), host, uri })
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.uri.scheme_str().unwrap_or_default())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self}/…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_of_the_web_names_a_host_and_holds_no_password() {
        let secret = "https://hooks.example.com/T0/s3cret?key=k";
        let url: WebhookUrl = secret.parse().unwrap();
        assert_eq!(url.as_str(), secret);
        assert_eq!(
            format!("{url} {url:?}"),
            "https://hooks.example.com WebhookUrl(https://hooks.example.com/…)"
        );
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        let wrong = [
            "",
            "no url",
            "hooks.example.com",
            "/path",
            "ftp://a.example/",
            "https://",
            "https://:1/",
            "https://a.example:99999/",
            "https://a.example:0/",
            "https://[2001:db8::1]:65536/",
            "https://a.example/path#part",
            &long,
        ];
        for wrong in wrong.into_iter().chain(["https://user:password@a.example/", "file:///etc/passwd"]) {
            let error = wrong.parse::<WebhookUrl>().expect_err(wrong);
            assert!(!error.contains("password@"), "{error}");
        }
        for right in ["https://a.example:65535/", "https://[2606:4700::1]/", "https://[2606:4700::1]:8443/x"]
        {
            right.parse::<WebhookUrl>().unwrap_or_else(|error| panic!("{right}: {error}"));
        }
    }

    #[test]
    fn a_public_url_has_tls_and_no_private_address() {
        let check = |text: &str, allowed| text.parse::<WebhookUrl>().unwrap().check(allowed);
        assert_eq!(check("https://a.example/", false), Ok(()));
        assert_eq!(check("https://1.1.1.1/", false), Ok(()));
        for private in ["http://a.example/", "https://127.0.0.1/", "https://[::1]:8443/", "https://10.0.0.1/"]
        {
            let refused = check(private, false).unwrap_err();
            assert!(refused.contains("--webhook-allow-private"), "{refused}");
            assert_eq!(check(private, true), Ok(()));
        }
    }
}
