//! What Postgres and NATS have counted of their own work. What never lives here: what caused it.

use std::ops::Sub;

use herald_processes::Nats;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, QueryResult, Statement};

use crate::load;

/// Statements by what they read. Each is counted when it has been executed, by whichever node.
const COUNT: &str = r#"
SELECT
    (SELECT "position" FROM log_head) AS reached,
    coalesce(sum(calls), 0)::bigint AS statements,
    coalesce(sum(calls) FILTER (WHERE query ~* '(from|join) +"?events\M'), 0)::bigint AS events,
    coalesce(sum(calls) FILTER (WHERE query ~* '(from|join) +"?messages\M'), 0)::bigint AS messages,
    coalesce(sum(calls) FILTER (WHERE query ~* '(from|join) +"?log_head\M'), 0)::bigint AS log_head,
    coalesce(sum(calls) FILTER (WHERE query ~* '^update +"?log_head\M'), 0)::bigint AS batches,
    coalesce(sum(calls) FILTER (WHERE query ~* '\mpg_notify\M'), 0)::bigint AS notifications
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query !~ 'pg_stat_statements'"#;

/// What was run on Postgres in some time.
pub(super) struct Statements {
    /// All of them.
    pub(super) all: f64,
    /// Those that read the table `events`.
    pub(super) events: f64,
    /// Those that read the table `messages`.
    pub(super) messages: f64,
    /// Those that read the log's head, or lock it.
    pub(super) log_head: f64,
    /// Those that tell other nodes.
    pub(super) notifications: f64,
    /// Those that move the log's head, once a batch.
    pub(super) batches: f64,
    /// By so many positions the head moved.
    pub(super) appended: f64,
}

/// A connection that asks for `pg_stat_statements`, and does not count itself.
pub(super) struct Counter {
    database: DatabaseConnection,
}

impl Counter {
    pub(super) async fn connect(url: &str) -> Self {
        let database = Database::connect(url).await.unwrap();
        database.execute_unprepared("CREATE EXTENSION pg_stat_statements").await.unwrap();
        Self { database }
    }

    /// What Postgres this is.
    pub(super) async fn server(&self) -> String {
        let asked = "SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync";
        let row = self.row(asked).await;
        let setting = |name: &str| row.try_get::<String>("", name).unwrap();
        format!("PostgreSQL {} with fsync {}", setting("version"), setting("fsync"))
    }

    /// Begins to count anew: the position of the log's head.
    pub(super) async fn begin(&self) -> i64 {
        let position = self.row(r#"SELECT "position" AS reached FROM log_head"#).await;
        self.database.execute_unprepared("SELECT pg_stat_statements_reset()").await.unwrap();
        position.try_get("", "reached").unwrap()
    }

    /// What was counted since then.
    pub(super) async fn since(&self, position: i64) -> Statements {
        let row = self.row(COUNT).await;
        let count = |name: &str| row.try_get::<i64>("", name).unwrap() as f64;
        Statements {
            all: count("statements"),
            events: count("events"),
            messages: count("messages"),
            log_head: count("log_head"),
            notifications: count("notifications"),
            batches: count("batches"),
            appended: count("reached") - position as f64,
        }
    }

    async fn row(&self, sql: &str) -> QueryResult {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        self.database.query_one_raw(statement).await.unwrap().unwrap()
    }
}

/// Bytes of payload that NATS has carried.
pub(super) struct Traffic {
    pub(super) into: f64,
    pub(super) out: f64,
}

impl Traffic {
    /// Until now.
    pub(super) async fn of(nats: &Nats) -> Self {
        let port = nats.monitoring_port().unwrap();
        let told = load::get(port, "/varz").await;
        let bytes = |name: &str| told[name].as_f64().unwrap();
        Self { into: bytes("in_bytes"), out: bytes("out_bytes") }
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { into: self.into - earlier.into, out: self.out - earlier.out }
    }
}
