//! The front end: it turns the text of a document into a plan, which the executor can execute in only one way.
//!
//! A document goes through these steps, each in its file. [`parse`] reads and validates it within the limits.
//! [`collect`] merges its selections and applies `@skip` and `@include`; the result is a [`plan`], with the syntax tree
//! that async-graphql executes. [`cost`] counts the fields that a plan may answer. [`variables`] coerces the values of
//! a request's variables. [`introspection`] answers questions about the schema. All of it follows the specification of
//! September 2025 (<https://spec.graphql.org/September2025/>). What never lives here: resolvers and their answers.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::executable::Operation;
use apollo_compiler::validation::Valid;
use async_graphql::Variables;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::response::{BAD_REQUEST, Response, VALIDATION_FAILED, failure, refusal};
use crate::config::Limits;
use crate::error::Error;

mod collect;
mod cost;
mod hash;
mod introspection;
mod lists;
mod lowered;
mod one_of;
mod parse;
mod plan;
mod positions;
mod schema;
mod survey;
mod tokens;
mod values;
mod variables;

pub(super) use cost::Cost;
pub(super) use hash::Hash;
pub(super) use introspection::Introspected;
pub(super) use plan::{Field, Inner, Plan, TYPENAME};
pub(super) use schema::Schema;

/// The number of documents that the cache expects, and the number of plans.
const EXPECTED_CACHED: usize = 1_000;

/// Bytes of memory that cached documents may take, and the same for plans.
const MAX_CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// A valid document.
#[derive(Debug)]
pub(super) struct Document {
    /// The hash of the text as it was sent.
    pub(super) hash: Hash,
    parsed: Valid<ExecutableDocument>,
    /// The names of the variables on which an `@skip` or `@include` depends, sorted.
    conditions: Vec<String>,
    /// About how many bytes of memory it takes.
    memory_bytes: usize,
}

impl Document {
    /// The operation with this name, or the only operation.
    ///
    /// # Errors
    /// The response that says that there is no such operation, or that the name is missing.
    pub(super) fn operation(&self, name: Option<&str>) -> Result<&Operation, Box<Response>> {
        let found = self.parsed.operations.get(name);
        found.map(|operation| &**operation).map_err(|_| {
            let reason = match name {
                Some(name) => format!("The document has no operation named {name:?}."),
                None => "The document has several operations: choose one with `operationName`.".into(),
            };
            Box::new(refusal(VALIDATION_FAILED, reason))
        })
    }

    /// The names of all operations; `None` for an operation without a name.
    pub(super) fn operation_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.parsed
            .operations
            .iter()
            .map(|operation| operation.name.as_ref().map(apollo_compiler::Name::as_str))
    }
}

/// The key of a plan in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PlanKey {
    document: Hash,
    operation: Option<String>,
    /// The values of the document's conditions, in their order.
    conditions: Vec<bool>,
}

/// The documents that herald can execute. It caches recent ones, or it executes only those that the operator trusts.
pub(super) struct Documents {
    limits: Limits,
    schema: Arc<Schema>,
    recent: Cache<Hash, Arc<Document>, MemoryBytes>,
    plans: Cache<PlanKey, Arc<Plan>, MemoryBytes>,
    /// The trusted documents; `None` when any document is accepted.
    trusted: Option<HashMap<Hash, Arc<Document>>>,
}

/// Weighs documents and plans by the memory that they take.
#[derive(Clone)]
struct MemoryBytes;

impl Weighter<Hash, Arc<Document>> for MemoryBytes {
    fn weight(&self, _: &Hash, document: &Arc<Document>) -> u64 {
        document.memory_bytes as u64
    }
}

impl Weighter<PlanKey, Arc<Plan>> for MemoryBytes {
    fn weight(&self, _: &PlanKey, plan: &Arc<Plan>) -> u64 {
        plan.memory_bytes() as u64
    }
}

impl Documents {
    pub(super) fn new(limits: Limits, schema: Arc<Schema>) -> Self {
        let recent = Cache::with_weighter(EXPECTED_CACHED, MAX_CACHE_BYTES, MemoryBytes);
        let plans = Cache::with_weighter(EXPECTED_CACHED, MAX_CACHE_BYTES, MemoryBytes);
        Self { limits, schema, recent, plans, trusted: None }
    }

    /// Accepts only these documents from now on.
    ///
    /// # Errors
    /// The hash of the first document that is not valid, and the response that says why.
    pub(super) fn trust<'a>(
        &mut self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), (Hash, Box<Response>)> {
        let mut trusted = HashMap::new();
        for text in texts {
            let hash = Hash::of(text);
            let document = parse::read(&self.schema, &self.limits, hash, text);
            let document = Arc::new(document.map_err(|refusal| (hash, refusal))?);
            for name in document.operation_names() {
                // With all conditions true a plan stands for what other variables select, and must be within the
                // limits.
                let conditions = vec![true; document.conditions.len()];
                let plan = self.plan_of(&document, name, conditions);
                plan.map_err(|refusal| (hash, refusal))?;
            }
            trusted.insert(hash, document);
        }
        self.trusted = Some(trusted);
        Ok(())
    }

    /// The document with this text, this hash, or both. A text that is not known has to be read, if `may_read` lets it.
    ///
    /// # Errors
    /// The response that says what is wrong with the document, or that its text is needed, or why it may not be read.
    pub(super) fn find(
        &self,
        text: Option<&str>,
        named: Option<Hash>,
        may_read: impl FnOnce(&str) -> Result<(), Error>,
    ) -> Result<Arc<Document>, Box<Response>> {
        let refuse = |code: &str, message: &str| Err(Box::new(refusal(code, message)));
        let hash = match (text.map(Hash::of), named) {
            (Some(hash), Some(named)) if hash != named => {
                return refuse(BAD_REQUEST, "The hash is not the SHA-256 of `query`.");
            }
            (Some(hash), _) | (None, Some(hash)) => hash,
            (None, None) => return refuse(BAD_REQUEST, "The request has no `query`."),
        };
        if let Some(trusted) = &self.trusted {
            return trusted.get(&hash).cloned().ok_or_else(|| {
                let message = "This server executes only documents that its operator trusts.";
                Box::new(refusal("DOCUMENT_NOT_TRUSTED", message))
            });
        }
        if let Some(document) = self.recent.get(&hash) {
            return Ok(document);
        }
        let Some(text) = text else {
            // Clients recognise exactly this message, and then send the text with the hash.
            return refuse("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound");
        };
        may_read(text).map_err(|error| Box::new(failure(&error)))?;
        let document = Arc::new(parse::read(&self.schema, &self.limits, hash, text)?);
        self.recent.insert(hash, Arc::clone(&document));
        Ok(document)
    }

    /// Coerces the values that a request gives for the variables of an operation.
    ///
    /// # Errors
    /// The response that says which value does not fit.
    pub(super) fn variables(
        &self,
        operation: &Operation,
        given: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Variables, Box<Response>> {
        variables::coerce(&self.schema, operation, given)
            .map_err(|reason| Box::new(refusal(VALIDATION_FAILED, reason)))
    }

    /// The plan of an operation with these variables.
    ///
    /// # Errors
    /// The response that says which limit it exceeds.
    pub(super) fn plan(
        &self,
        document: &Document,
        operation_name: Option<&str>,
        variables: &Variables,
    ) -> Result<Arc<Plan>, Box<Response>> {
        let is_true =
            |name: &String| matches!(variables.get(name.as_str()), Some(value) if *value == true.into());
        let conditions = document.conditions.iter().map(is_true).collect();
        self.plan_of(document, operation_name, conditions)
    }

    fn plan_of(
        &self,
        document: &Document,
        operation_name: Option<&str>,
        conditions: Vec<bool>,
    ) -> Result<Arc<Plan>, Box<Response>> {
        let key =
            PlanKey { document: document.hash, operation: operation_name.map(ToOwned::to_owned), conditions };
        if let Some(plan) = self.plans.get(&key) {
            return Ok(plan);
        }
        let operation = document.operation(operation_name)?;
        let true_conditions = document
            .conditions
            .iter()
            .zip(&key.conditions)
            .filter(|(_, is_true)| **is_true)
            .map(|(name, _)| &**name);
        let plan = collect::plan(&self.schema, &self.limits, document, operation, true_conditions.collect())?;
        let plan = Arc::new(plan);
        self.plans.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}

#[cfg(test)]
mod tests;
