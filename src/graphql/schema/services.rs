//! The services that resolvers use.

use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::DataLoader;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::loaders::{Rows, Users, load};
use crate::accounts::Accounts;
use crate::config::Limits;
use crate::error::Error;
use crate::hub::Hub;
use crate::log::{Committed, Database, Unavailable, UserRow, Writer};
use crate::messaging::{Action, Command, UserId};
use crate::rates::Rates;

use crate::graphql::caller::caller_of;

/// Everything that resolvers use. The schema holds one.
pub(crate) struct Services {
    pub(crate) database: Database,
    pub(crate) writer: Writer,
    pub(crate) hub: Hub,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) rates: Option<Arc<Rates>>,
    pub(crate) limits: Limits,
    /// Whether those who do not share their marks see none of others.
    pub(crate) is_reciprocal: bool,
    pub(crate) rows: DataLoader<Rows>,
    pub(crate) users: DataLoader<Users>,
}

impl Services {
    pub(crate) fn new(
        database: Database,
        writer: Writer,
        hub: Hub,
        accounts: Arc<Accounts>,
        rates: Option<Arc<Rates>>,
        limits: Limits,
    ) -> Self {
        let delay = std::time::Duration::ZERO;
        let rows = DataLoader::new(Rows(database.clone()), spawn).delay(delay);
        let users = DataLoader::new(Users(database.clone(), Arc::clone(&accounts)), spawn).delay(delay);
        Self { database, writer, hub, accounts, rates, limits, is_reciprocal: false, rows, users }
    }

    /// The user with this id: as this node knows them, or else from the database. `None` when there is no such user.
    pub(crate) async fn user(&self, id: UserId) -> Result<Option<Arc<UserRow>>, Unavailable> {
        match self.accounts.users.get(id) {
            Some(known) => Ok(Some(known)),
            None => load(&self.users, id).await,
        }
    }

    /// Submits an action of the signed-in caller to the writer, and waits until it is durable.
    ///
    /// # Errors
    /// Why the action is refused, or that it failed.
    pub(crate) async fn submit(&self, ctx: &Context<'_>, action: Action) -> Result<Committed, Error> {
        let actor = caller_of(ctx)?.viewer()?.user;
        self.submit_as(ctx, actor, action).await
    }

    /// Submits an action of an actor who need not be the caller: the caller is then a service.
    ///
    /// # Errors
    /// Why the action is refused, or that it failed.
    pub(crate) async fn submit_as(
        &self,
        ctx: &Context<'_>,
        actor: UserId,
        action: Action,
    ) -> Result<Committed, Error> {
        let caller = caller_of(ctx)?;
        let command = Command {
            actor,
            origin: caller.origin(),
            via: caller.service.as_ref().map(|service| service.name.clone()),
            action,
        };
        Ok(self.writer.submit(command).await?)
    }
}

/// Runs a loader in the span of the request that first asks for it, so that the log names the request of a failure.
///
/// All tasks that are ready run first, and what they ask for joins the statement. No timer is waited for: a timer of
/// tokio's would take a millisecond, so async-graphql has no feature `tokio-timer`, and its own timer of zero is over at
/// once.
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let task = async move {
        tokio::task::yield_now().await;
        task.await;
    };
    tokio::spawn(task.in_current_span())
}

/// The services of this schema.
pub(crate) fn services_of<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Services>, Error> {
    ctx.data_opt::<Arc<Services>>().ok_or(Error::Internal)
}
