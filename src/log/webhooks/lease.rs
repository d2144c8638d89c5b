//! Which node calls a webhook. A node holds a lease for a while, by the clock of the database, and renews it. Every
//! write about a webhook is in the same statement or transaction as the question whether the lease is still held.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend};
use uuid::Uuid;

use super::WebhookRow;
use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::{Database, Unavailable};
use crate::messaging::WebhookId;

/// A node, for as long as it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseOwner(pub Uuid);

impl Database {
    /// Takes or renews the lease of a webhook. `None` if another node holds it, or if the webhook is disabled. On SQLite
    /// no other node can hold it: one herald has the file, and a lease of before is that of a herald that is gone.
    pub async fn lease_webhook(
        &self,
        id: WebhookId,
        owner: LeaseOwner,
        lasts: Duration,
    ) -> Result<Option<WebhookRow>, Unavailable> {
        let backend = self.writer.get_database_backend();
        let mut sql = Sql::default();
        sql.push("UPDATE webhooks SET lease_owner = ").bind(owner.0).push(", lease_until = ");
        self.push_now(&mut sql);
        sql.push(" + ").bind(micros(lasts)).push(" WHERE disabled_at IS NULL AND id = ").bind(id.0);
        if backend == DbBackend::Postgres {
            sql.push(" AND (lease_owner = ").bind(owner.0).push(" OR lease_until IS NULL OR lease_until < ");
            self.push_now(&mut sql);
            sql.push(")");
        }
        let operation = "take the lease of a webhook";
        let taken = self.writer.execute_raw(sql.statement(backend)).await.during(operation)?;
        if taken.rows_affected() == 0 { Ok(None) } else { self.webhook(id).await }
    }

    /// Gives the lease of a webhook back, so that another node need not wait.
    pub async fn release_webhook(&self, id: WebhookId, owner: LeaseOwner) -> Result<(), Unavailable> {
        let mut sql = Sql::default();
        sql.push("UPDATE webhooks SET lease_until = NULL, lease_owner = NULL WHERE lease_owner = ")
            .bind(owner.0);
        sql.push(" AND id = ").bind(id.0);
        let statement = sql.statement(self.writer.get_database_backend());
        self.writer.execute_raw(statement).await.during("give the lease of a webhook back").map(|_| ())
    }

    /// Writes the present time in microseconds: that of Postgres, which all nodes share, or else that of this node.
    pub(super) fn push_now(&self, sql: &mut Sql) {
        match self.writer.get_database_backend() {
            DbBackend::Postgres => sql.push("(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"),
            _ => sql.bind(self.now().0),
        };
    }
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
