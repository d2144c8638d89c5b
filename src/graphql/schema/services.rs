//! What the resolvers work with.

use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, LruCache};
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::loaders::{Rows, Users};
use crate::accounts::Accounts;
use crate::config::Limits;
use crate::error::Error;
use crate::hub::Hub;
use crate::log::{Committed, Database, Writer};
use crate::messaging::{Action, Command};
use crate::rates::Rates;

use crate::graphql::caller::caller;

/// Everything behind the schema.
pub(crate) struct Services {
    pub(crate) database: Database,
    pub(crate) writer: Writer,
    pub(crate) hub: Hub,
    pub(crate) accounts: Accounts,
    pub(crate) rates: Option<Arc<Rates>>,
    pub(crate) limits: Limits,
    pub(crate) rows: DataLoader<Rows>,
    /// Users never change, so they are remembered.
    pub(crate) users: DataLoader<Users, LruCache>,
}

/// Users that are remembered.
const MAX_REMEMBERED_USERS: usize = 20_000;

impl Services {
    pub(crate) fn new(
        database: Database,
        writer: Writer,
        hub: Hub,
        accounts: Accounts,
        rates: Option<Arc<Rates>>,
        limits: Limits,
    ) -> Self {
        let delay = std::time::Duration::ZERO;
        let rows = DataLoader::new(Rows(database.clone()), spawn).delay(delay);
        let users =
            DataLoader::with_cache(Users(database.clone()), spawn, LruCache::new(MAX_REMEMBERED_USERS))
                .delay(delay);
        Self { database, writer, hub, accounts, rates, limits, rows, users }
    }

    /// Has the signed-in caller's action carried out.
    pub(crate) async fn submit(&self, ctx: &Context<'_>, action: Action) -> Result<Committed, Error> {
        let caller = caller(ctx)?;
        let command = Command { actor: caller.viewer()?.user.id, origin: caller.origin(), action };
        Ok(self.writer.submit(command).await?)
    }
}

/// Runs a loader's statement in the span of the request that first asks for it, so that a failure is logged with its id.
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task.in_current_span())
}

/// The services that this schema was built with.
pub(crate) fn services<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Services>, Error> {
    ctx.data_opt::<Arc<Services>>().ok_or(Error::Internal)
}
