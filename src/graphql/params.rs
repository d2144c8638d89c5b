//! The parameters of a GraphQL request: the same in every transport.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::document::Hash;

/// What a request asks (<https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Params {
    /// The document.
    pub(crate) query: Option<String>,
    /// The name of a document that this server knows.
    pub(crate) document_id: Option<String>,
    /// Which of the document's operations.
    pub(crate) operation_name: Option<String>,
    /// Values for its variables.
    pub(crate) variables: Option<Map<String, Value>>,
    /// What is beyond the specification.
    pub(crate) extensions: Option<Extensions>,
}

/// The extensions of a request that mean something here. Others are let pass.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Extensions {
    persisted_query: Option<PersistedQuery>,
    /// The connection that the request belongs to, for an `EventSource`, which cannot send headers.
    pub(crate) connection_id: Option<String>,
}

/// A document by its hash
/// (<https://www.apollographql.com/docs/apollo-server/performance/apq>).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersistedQuery {
    version: u32,
    sha256_hash: String,
}

/// The only version of persisted queries.
const VERSION: u32 = 1;

/// How `documentId` names a document by its hash
/// (<https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md>).
const SHA256: &str = "sha256:";

impl Params {
    /// Whether there is anything to execute.
    pub(crate) fn names_a_document(&self) -> bool {
        self.query.is_some() || self.document_id.is_some() || self.persisted().is_some()
    }

    /// The document's text. Some clients always send one, an empty one where the document is named.
    pub(super) fn text(&self) -> Option<&str> {
        let is_named = self.document_id.is_some() || self.persisted().is_some();
        self.query.as_deref().filter(|text| !(is_named && text.is_empty()))
    }

    /// The hash by which the document is named, if it is.
    ///
    /// # Errors
    /// Why the name cannot be one.
    pub(super) fn hash(&self) -> Result<Option<Hash>, &'static str> {
        let text = match (&self.document_id, self.persisted()) {
            (Some(id), _) => id.strip_prefix(SHA256).unwrap_or(id),
            (None, Some(persisted)) if persisted.version != VERSION => {
                return Err("This version of persisted queries is not supported: use version 1.");
            }
            (None, Some(persisted)) => &persisted.sha256_hash,
            (None, None) => return Ok(None),
        };
        let hash = Hash::parse(text);
        hash.map(Some).ok_or("A document is named by its SHA-256, as 64 hexadecimal digits.")
    }

    fn persisted(&self) -> Option<&PersistedQuery> {
        self.extensions.as_ref()?.persisted_query.as_ref()
    }
}
