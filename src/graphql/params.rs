//! The parameters of a GraphQL request, which are the same in every transport.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::document::Hash;
use super::members::{Member, members};
use crate::trace::{TRACEPARENT, TraceContext};

/// The parameters of a request (<https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>).
#[derive(Debug, Default)]
pub(crate) struct Params {
    /// The text of the document.
    pub(crate) query: Option<String>,
    /// The id of a document that this server knows.
    pub(crate) document_id: Option<String>,
    /// The name of the operation to execute. `None` when the document has only one.
    pub(crate) operation_name: Option<String>,
    /// The values of its variables.
    pub(crate) variables: Option<Map<String, Value>>,
    /// Members beyond the specification.
    pub(crate) extensions: Option<Extensions>,
}

/// The extensions that herald knows. It ignores all others.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    persisted_query: Option<PersistedQuery>,
    /// The id of the connection that the request belongs to. It is for clients that cannot send headers: an
    /// `EventSource`, and an operation on a socket that a router shares.
    pub(crate) connection_id: Option<String>,
    /// Where a trace goes on, in the form of the header `traceparent`. It is for operations on a socket, which have no
    /// headers.
    traceparent: Option<String>,
}

/// A document by its hash
/// (<https://www.apollographql.com/docs/apollo-server/performance/apq>).
#[derive(Debug)]
struct PersistedQuery {
    version: u32,
    sha256_hash: String,
}

/// The only version of persisted queries.
const PERSISTED_QUERY_VERSION: u32 = 1;

/// The prefix of a `documentId` that is a hash
/// (<https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md>).
const SHA256_PREFIX: &str = "sha256:";

/// How errors call a text.
const STRING: &str = "a string";

impl Params {
    /// Reads the parameters from the JSON object in `text`.
    ///
    /// # Errors
    /// What is wrong with them, as the end of a sentence.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let names = ["query", "documentId", "operationName", "variables", "extensions"];
        let [query, document_id, operation_name, variables, extensions] =
            members(text, names).map_err(|error| error.to_string())?;
        let params = Self {
            query: query.read("query", STRING)?,
            document_id: document_id.read("documentId", STRING)?,
            operation_name: operation_name.read("operationName", STRING)?,
            variables: variables.read("variables", "an object")?,
            extensions: Extensions::read(extensions)?,
        };
        if params.names_a_document() { Ok(params) } else { Err("there is no `query`".into()) }
    }

    /// Reads the parameters from the `payload` of a message.
    ///
    /// # Errors
    /// What is wrong with them, as the end of a sentence.
    pub(crate) fn member(payload: Member<'_>) -> Result<Self, String> {
        match payload {
            Member::Once(value) => Self::read(value.get()),
            Member::Absent => Err("there is no `payload`".into()),
            Member::Repeated => Err("`payload` appears more than once".into()),
        }
    }

    /// Adds variables and extensions that are JSON texts of their own, as in a URL.
    ///
    /// # Errors
    /// What is wrong with them, as the end of a sentence.
    pub(crate) fn with_json(self, variables: Option<&str>, extensions: Option<&str>) -> Result<Self, String> {
        let json = |name: &str, text: Option<&'_ str>| {
            let value = text.map(serde_json::from_str::<Box<RawValue>>).transpose();
            value.map_err(|error| format!("`{name}` is not JSON: {error}"))
        };
        let (variables, extensions) = (json("variables", variables)?, json("extensions", extensions)?);
        Ok(Self {
            variables: Member::from(variables.as_deref()).read("variables", "an object")?,
            extensions: Extensions::read(Member::from(extensions.as_deref()))?,
            ..self
        })
    }

    /// Whether they name a document, by its text or by its hash.
    pub(crate) fn names_a_document(&self) -> bool {
        self.query.is_some() || self.document_id.is_some() || self.persisted().is_some()
    }

    /// The id of the connection, when the extensions name it.
    pub(crate) fn connection_id(&self) -> Option<&str> {
        self.extensions.as_ref()?.connection_id.as_deref()
    }

    /// Where the trace goes on, when the extensions say so.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        TraceContext::of_text(self.extensions.as_ref()?.traceparent.as_deref()?)
    }

    /// The text of the document, if any. An empty text does not count beside a hash, because some clients always send a
    /// text.
    pub(super) fn text(&self) -> Option<&str> {
        let has_hash = self.document_id.is_some() || self.persisted().is_some();
        self.query.as_deref().filter(|text| !(has_hash && text.is_empty()))
    }

    /// The hash that names the document, if any.
    ///
    /// # Errors
    /// Why the name is not a hash, as a sentence.
    pub(super) fn hash(&self) -> Result<Option<Hash>, &'static str> {
        let text = match (&self.document_id, self.persisted()) {
            (Some(id), _) => id.strip_prefix(SHA256_PREFIX).unwrap_or(id),
            (None, Some(persisted)) if persisted.version != PERSISTED_QUERY_VERSION => {
                return Err("herald does not support this version of persisted queries: use version 1.");
            }
            (None, Some(persisted)) => &persisted.sha256_hash,
            (None, None) => return Ok(None),
        };
        let hash = Hash::parse(text);
        hash.map(Some).ok_or("The name of a document must be its SHA-256, as 64 hexadecimal digits.")
    }

    fn persisted(&self) -> Option<&PersistedQuery> {
        self.extensions.as_ref()?.persisted_query.as_ref()
    }
}

impl Extensions {
    fn read(extensions: Member<'_>) -> Result<Option<Self>, String> {
        let members = extensions.object("extensions", ["persistedQuery", "connectionId", TRACEPARENT])?;
        let Some([persisted_query, connection_id, traceparent]) = members else { return Ok(None) };
        Ok(Some(Self {
            persisted_query: PersistedQuery::read(persisted_query)?,
            connection_id: connection_id.read("extensions.connectionId", STRING)?,
            // Whatever is no place in a trace is ignored, of whatever type it is.
            traceparent: traceparent.read(TRACEPARENT, STRING).unwrap_or_default(),
        }))
    }
}

impl PersistedQuery {
    fn read(persisted_query: Member<'_>) -> Result<Option<Self>, String> {
        let members = persisted_query.object("extensions.persistedQuery", ["version", "sha256Hash"])?;
        let Some([version, hash]) = members else { return Ok(None) };
        let version = version.read("extensions.persistedQuery.version", "a whole number")?;
        let sha256_hash = hash.read("extensions.persistedQuery.sha256Hash", STRING)?;
        match (version, sha256_hash) {
            (Some(version), Some(sha256_hash)) => Ok(Some(Self { version, sha256_hash })),
            _ => Err("`extensions.persistedQuery` must have a `version` and a `sha256Hash`".into()),
        }
    }
}
