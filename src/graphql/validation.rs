//! Validating without executing. async-graphql validates as the first step of every execution; herald does it
//! once for each document, and then executes what is known to be valid.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{Request, Response, ServerError, ValidationResult};
use futures_util::FutureExt;

use super::Schema;
use super::response::failure;
use crate::config::Limits;
use crate::error::Error;

/// A schema that validates, and never executes.
pub(super) struct Validator(Schema);

impl Validator {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(super::builder(limits).extension(StopWhenValid).finish())
    }

    /// Holds a request to the schema.
    ///
    /// # Errors
    /// The response that says what does not fit.
    pub(super) fn validate(&self, request: Request) -> Result<(), Box<Response>> {
        // Nothing in validation waits for anything.
        let validated = AssertUnwindSafe(self.0.execute(request)).catch_unwind().now_or_never();
        match validated {
            Some(Ok(response)) if response.errors.iter().all(|error| error.message == VALID) => Ok(()),
            Some(Ok(response)) => Err(Box::new(response)),
            Some(Err(_)) | None => Err(Box::new(failure(&Error::Internal))),
        }
    }
}

/// The error that ends an execution when the request was found to be valid. No error of validation reads so.
const VALID: &str = "\0valid";

struct StopWhenValid;

impl ExtensionFactory for StopWhenValid {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for StopWhenValid {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        next.run(ctx).await?;
        Err(vec![ServerError::new(VALID, None)])
    }
}
