//! A request that can be executed, and the response that its execution comes to.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Variables};

use super::answer::{self, TooLarge};
use crate::graphql::document::{Cost, Document, Introspected, Plan};
use crate::graphql::large::LargeAnswers;
use crate::graphql::response::{Data, LIMIT_EXCEEDED, Response, error};

/// A request that can be executed: its document is valid, its variables fit, and both are within the limits.
#[derive(Clone)]
pub(crate) struct Prepared {
    /// The document, if the operation asks about the schema. The plan has all else. A document takes many times the memory
    /// of its text, so a subscription does not keep it.
    pub(super) document: Option<Arc<Document>>,
    pub(super) operation_name: Option<String>,
    pub(in crate::graphql) plan: Arc<Plan>,
    pub(crate) variables: Variables,
    /// How many fields the answer may have.
    pub(in crate::graphql) cost: Cost,
    /// Bytes that the answer may have.
    pub(crate) most: usize,
    pub(in crate::graphql) large_answers: Arc<LargeAnswers>,
    /// Query, mutation or subscription.
    pub(crate) kind: OperationType,
}

impl Prepared {
    /// The request that the executor of async-graphql gets.
    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(String::new()).variables(self.plan.variables(&self.variables));
        request.set_parsed_query(self.plan.executable());
        request
    }

    /// The response that an execution came to. `introspected` has what was asked about the schema.
    pub(in crate::graphql) fn response(
        &self,
        executed: async_graphql::Response,
        introspected: Introspected,
    ) -> Response {
        let async_graphql::Response { data, mut errors, http_headers, .. } = executed;
        if !errors.is_empty() && errors.iter().all(|error| error.path.is_empty()) {
            // An error of execution has a path.
            return Response::refused(errors);
        }
        errors.extend(introspected.errors);
        let written = answer::write(&self.plan, &data, &errors, &introspected.data, self.most);
        let response = written.map(|data| Response::executed(data, errors));
        let mut response = response.unwrap_or_else(|TooLarge| self.too_large());
        response.http_headers = http_headers;
        response
    }

    /// The response in the place of one that would be too large.
    pub(crate) fn too_large(&self) -> Response {
        let most = self.most;
        let message = format!(
            "The answer is larger than {most} bytes: ask for smaller pages with `first`, or for fewer fields."
        );
        Response::executed(Data::from("null"), vec![error(LIMIT_EXCEEDED, message)])
    }
}
