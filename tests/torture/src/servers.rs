//! The Postgres of a world. Some settings have a standby that replaces it once, or a pooler before it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use herald_processes::{PgBouncer, Postgres, Proxy};
use sea_orm::{ConnectionTrait, Database, DbErr, Statement};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// How long a standby may take to come as far as its primary.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pause between two looks at how far a standby has come.
const LOOK: Duration = Duration::from_millis(50);

/// How PgBouncer is set up: with room for every node, also while connections of nodes that were killed are cleared
/// away. After a Postgres that it could not reach it tries again soon, and not after 15 s.
const POOLER: [(&str, &str); 2] = [("default_pool_size", "100"), ("server_login_retry", "1")];

/// One Postgres, or two of which the second follows the first.
#[derive(Debug)]
pub(crate) struct Servers {
    primary: Postgres,
    standby: Option<Standby>,
    pub(crate) pooler: Option<Pooler>,
    has_failed_over: AtomicBool,
}

#[derive(Debug)]
struct Standby {
    server: Postgres,
    /// Between the standby and the primary.
    replication: Proxy,
    is_synchronous: bool,
}

/// A PgBouncer between the nodes and Postgres.
#[derive(Debug)]
pub(crate) struct Pooler {
    pub(crate) server: Mutex<PgBouncer>,
    /// Between it and Postgres.
    pub(crate) database: Proxy,
    /// The port that it listens on.
    port: u16,
}

impl Servers {
    /// A Postgres without a standby.
    pub(crate) async fn start(scratch: &Path) -> Result<Self, String> {
        let primary = Postgres::start(scratch, &[]).await?;
        Ok(Self::of(primary, None, None))
    }

    /// A Postgres behind a PgBouncer that pools by session.
    pub(crate) async fn start_pooled(scratch: &Path) -> Result<Self, String> {
        let primary = Postgres::start(scratch, &[]).await?;
        let database = Proxy::start(primary.port()).await?;
        let server = PgBouncer::start(scratch, database.port(), "session", &POOLER).await?;
        let port = server.port();
        Ok(Self::of(primary, None, Some(Pooler { server: Mutex::new(server), database, port })))
    }

    fn of(primary: Postgres, standby: Option<Standby>, pooler: Option<Pooler>) -> Self {
        Self { primary, standby, pooler, has_failed_over: AtomicBool::new(false) }
    }

    /// A Postgres with a standby.
    pub(crate) async fn start_pair(scratch: &Path, is_synchronous: bool) -> Result<Self, String> {
        let names = if is_synchronous { "*" } else { "" };
        let primary = Postgres::start(scratch, &[("synchronous_standby_names", names)]).await?;
        let replication = Proxy::start(primary.port()).await?;
        let server = primary.start_standby(scratch, replication.port()).await?;
        let standby = Some(Standby { server, replication, is_synchronous });
        let servers = Self::of(primary, standby, None);
        servers.catch_up().await?;
        Ok(servers)
    }

    /// The one that serves now.
    pub(crate) fn now(&self) -> &Postgres {
        match &self.standby {
            Some(standby) if self.has_failed_over.load(Ordering::Relaxed) => &standby.server,
            _ => &self.primary,
        }
    }

    /// The port that leads nodes to it.
    pub(crate) fn entrance(&self) -> u16 {
        self.pooler.as_ref().map_or_else(|| self.now().port(), |pooler| pooler.port)
    }

    /// Whether nothing that was answered is lost with the primary.
    pub(crate) fn is_synchronous(&self) -> bool {
        self.standby.as_ref().is_some_and(|standby| standby.is_synchronous)
    }

    /// Returns when the standby has all that the primary has written by now.
    pub(crate) async fn catch_up(&self) -> Result<(), String> {
        let failed = |error: DbErr| format!("cannot see how far the standby is: {error}");
        let database = Database::connect(self.primary.url()).await.map_err(failed)?;
        let ask = async |sql: String| {
            let row = database.query_one_raw(Statement::from_string(database.get_database_backend(), sql));
            row.await?.ok_or_else(|| DbErr::RecordNotFound("one row".into()))?.try_get_by_index::<String>(0)
        };
        let written = ask("SELECT pg_current_wal_lsn()::text".into()).await.map_err(failed)?;
        let reached = format!(
            "SELECT count(*)::text FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn >= '{written}'"
        );
        let began = Instant::now();
        while ask(reached.clone()).await.map_err(failed)? == "0" {
            if began.elapsed() > PATIENCE {
                return Err("the standby does not follow".into());
            }
            sleep(LOOK).await;
        }
        database.close().await.map_err(failed)
    }

    /// What is written from now on does not reach the standby.
    pub(crate) fn cut_replication(&self) {
        if let Some(standby) = &self.standby {
            standby.replication.cut();
        }
    }

    /// The primary is gone, and the standby takes its place.
    pub(crate) async fn fail_over(&self) -> Result<(), String> {
        let standby = self.standby.as_ref().ok_or("there is no standby")?;
        self.primary.crash().await?;
        self.cut_replication();
        standby.server.promote().await?;
        self.has_failed_over.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The server whose place was taken, for itself: nobody else reaches it.
    pub(crate) fn former(&self) -> &Postgres {
        &self.primary
    }
}
