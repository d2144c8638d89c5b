//! The head of the log: its newest position, its epoch, and the database in which it is.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, FromQueryResult,
    SqliteTransactionMode, Statement, TransactionOptions,
};

use super::connection::TimeLimited;
use super::entities::log_head;
use super::error::{During, StorageFault, code};
use super::sql::Sql;
use super::{Database, Unavailable};
use crate::messaging::{Chain, Epoch, Place, Position, Timestamp};
use crate::metrics::METRICS;

/// Names the place of a log on Postgres: its cluster, timeline, database and table. A standby that was promoted has
/// another timeline, and a restored dump has another table. The timeline is that of the newest write, which changes as
/// soon as a standby is promoted.
const HOME_SQL: &str = "(SELECT concat(system_identifier, '/', substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), '/', \
     d.oid, '/', 'log_head'::regclass::oid) FROM pg_control_system(), pg_database d WHERE d.datname = current_database())";

/// The same without the cluster and the timeline, which some managed services do not tell.
const UNPRIVILEGED_HOME_SQL: &str = "(SELECT concat(d.oid, '/', 'log_head'::regclass::oid) FROM pg_database d \
     WHERE d.datname = current_database())";

/// The head of the log, under a lock: nobody else appends until the transaction ends.
pub(super) struct Locked {
    pub(super) transaction: TimeLimited<DatabaseTransaction>,
    pub(super) head: Place,
    /// The earliest time that the next event can have. It is the later of two: the present time, by the clock of
    /// Postgres where the database is Postgres, and the instant after the newest event.
    pub(super) now: Timestamp,
    /// The position up to which every conversation has its owner, and every stay shares what its user chose. Rows of
    /// participants may change with it, and not only with the head.
    pub(super) owned_through: Position,
    /// Events before this position may be gone, because they were too old.
    pub(super) trimmed: Position,
    /// The number of the newest change of a user.
    pub(super) users_changed: i64,
}

/// The head of the log, as the hub polls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolledHead {
    /// The end of the log.
    pub head: Place,
    /// Whether the log is in the database in which its epoch began.
    pub is_at_home: bool,
    /// Events before this position may be gone, because they were too old. Nobody can go on from there.
    pub trimmed: Position,
}

#[derive(FromQueryResult)]
struct HeadRow {
    epoch: i64,
    position: i64,
    chain: i64,
    at_micros: i64,
    owned_through: i64,
    trimmed: i64,
    now_micros: Option<i64>,
    users_changed: i64,
}

/// The columns of a [`HeadRow`], without the time now.
const HEAD: &str = "epoch, position, chain, at_micros, owned_through, trimmed, users_changed";

impl HeadRow {
    fn head(&self) -> Place {
        Place { epoch: Epoch(self.epoch), position: Position(self.position), chain: Chain(self.chain) }
    }
}

#[derive(FromQueryResult)]
struct HomeRow {
    epoch: i64,
    position: i64,
    chain: i64,
    trimmed: i64,
    home: Option<String>,
    present: Option<String>,
}

#[derive(FromQueryResult)]
struct ChainRow {
    chain: i64,
}

impl Database {
    /// Reads the end of the log.
    pub async fn head(&self) -> Result<Place, Unavailable> {
        read_head(&self.reader).await.during("read the head of the log")
    }

    /// Reads the end of the log. `None` when `place` is not in the log, or is no longer in it: the log has another
    /// epoch, a smaller position, or another chain at that position, or what came after it is no longer kept.
    pub async fn head_after(&self, place: Place) -> Result<Option<Place>, Unavailable> {
        let row = head_row(&self.reader).await.during("read the head of the log")?;
        let head = row.head();
        if place.epoch != head.epoch || place.position > head.position || place.position.0 < row.trimmed {
            return Ok(None);
        }
        let chain = if place.position == head.position {
            head.chain
        } else if place.position == Position::START {
            Chain::START
        } else {
            let mut sql = Sql::default();
            sql.push("SELECT e.chain FROM events e WHERE e.position = ").bind(place.position.0);
            let rows: Vec<ChainRow> =
                sql.rows(&self.reader).await.during("find a cursor's place in the log")?;
            let Some(row) = rows.first() else { return Ok(None) };
            Chain(row.chain)
        };
        Ok((chain == place.chain).then_some(head))
    }

    /// Reads the end of the log, and whether the log is still in the database in which its epoch began. It also notes
    /// the size of SQLite's WAL.
    pub async fn poll_head(&self) -> Result<PolledHead, Unavailable> {
        self.measure_wal();
        let row = self.home_row(&self.reader).await.during("read the head of the log")?;
        let head =
            Place { epoch: Epoch(row.epoch), position: Position(row.position), chain: Chain(row.chain) };
        Ok(PolledHead { head, is_at_home: row.home == row.present, trimmed: Position(row.trimmed) })
    }

    /// The position before which events may be gone, because they were too old.
    pub async fn trimmed(&self) -> Result<Position, Unavailable> {
        let row = head_row(&self.reader).await.during("read which events are kept")?;
        Ok(Position(row.trimmed))
    }

    /// Begins a new epoch, unless the epoch is no longer `known`. Returns the head in the epoch that holds now. Herald
    /// refuses every cursor of an earlier epoch from then on.
    pub async fn renew(&self, known: Epoch) -> Result<Place, Unavailable> {
        self.begin_epoch_after(known).await.during("begin a new epoch")
    }

    /// The same, for a caller that reports the cause.
    pub(super) async fn begin_epoch_after(&self, known: Epoch) -> Result<Place, StorageFault> {
        let Locked { transaction, head, .. } = self.lock().await?;
        if head.epoch != known {
            transaction.rollback().await?;
            return Ok(head);
        }
        let present = self.home_row(&transaction).await?.present;
        let renewed = Place { epoch: draw_epoch(), ..head };
        let row = log_head::ActiveModel {
            id: Set(1),
            epoch: Set(renewed.epoch.0),
            home: Set(present),
            ..Default::default()
        };
        log_head::Entity::update(row).exec(&transaction).await?;
        transaction.commit().await?;
        METRICS.epochs_begun.inc();
        Ok(renewed)
    }

    /// Makes sure that `log_head` has its row, and that the row belongs to this database. A log that was restored,
    /// cloned or promoted while no herald ran begins a new epoch.
    pub(super) async fn settle_head(&mut self) -> Result<(), StorageFault> {
        let first = log_head::ActiveModel {
            id: Set(1),
            epoch: Set(draw_epoch().0),
            position: Set(0),
            sessions_ended: Set(0),
            chain: Set(Chain::START.0),
            at_micros: Set(0),
            home: Set(None),
            users_changed: Set(0),
            owned_through: Set(0),
            redacted_through: Set(0),
            aging_until: Set(0),
            trimmed: Set(0),
        };
        log_head::Entity::insert(first).on_conflict_do_nothing().exec_without_returning(&self.writer).await?;
        if self.writer.get_database_backend() == DbBackend::Postgres {
            self.home = self.home_on_postgres().await?;
        }
        let row = self.home_row(&self.writer).await?;
        if row.home.is_none() && row.present.is_some() {
            let home = log_head::ActiveModel { id: Set(1), home: Set(row.present), ..Default::default() };
            log_head::Entity::update(home).exec(&self.writer).await?;
        } else if row.home != row.present {
            tracing::error!(
                "this log lived elsewhere when it was last written: it was restored, copied, or its Postgres failed over. \
                 A new epoch begins: whoever follows takes a new snapshot"
            );
            self.begin_epoch_after(Epoch(row.epoch)).await?;
        }
        Ok(())
    }

    /// Returns the most exact SQL for the place of the log that this Postgres lets herald run.
    async fn home_on_postgres(&self) -> Result<&'static str, DbErr> {
        let ask = Statement::from_string(DbBackend::Postgres, format!("SELECT {HOME_SQL} AS home"));
        match self.writer.query_one_raw(ask).await {
            Ok(_) => Ok(HOME_SQL),
            Err(error) if is_not_offered(&error) => {
                tracing::warn!(
                    %error,
                    "this Postgres does not tell its timeline: a failover is noticed by the log alone"
                );
                Ok(UNPRIVILEGED_HOME_SQL)
            }
            Err(error) => Err(error),
        }
    }

    async fn home_row(&self, db: &impl ConnectionTrait) -> Result<HomeRow, StorageFault> {
        let mut sql = Sql::default();
        sql.push("SELECT epoch, position, chain, trimmed, home, ").push(self.home);
        sql.push(" AS present FROM log_head WHERE id = 1");
        sql.rows(db).await?.pop().ok_or(StorageFault::NoHead)
    }

    /// Begins a transaction that locks the head, and reads the head in it.
    pub(super) async fn lock(&self) -> Result<Locked, StorageFault> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let transaction = self.writer.begin(options).await?;
        let mut sql = Sql::default();
        sql.push("SELECT ").push(HEAD).push(", ");
        sql.push(match transaction.get_database_backend() {
            DbBackend::Postgres => {
                "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_micros \
                 FROM log_head WHERE id = 1 FOR UPDATE"
            }
            _ => "NULL AS now_micros FROM log_head WHERE id = 1",
        });
        let row: HeadRow = sql.rows(&transaction).await?.pop().ok_or(StorageFault::NoHead)?;
        let now = row.now_micros.map_or_else(|| self.now(), Timestamp);
        let now = now.max(Timestamp(row.at_micros).next());
        let (owned_through, trimmed) = (Position(row.owned_through), Position(row.trimmed));
        let users_changed = row.users_changed;
        Ok(Locked { transaction, head: row.head(), now, owned_through, trimmed, users_changed })
    }
}

pub(super) async fn read_head(db: &impl ConnectionTrait) -> Result<Place, StorageFault> {
    Ok(head_row(db).await?.head())
}

async fn head_row(db: &impl ConnectionTrait) -> Result<HeadRow, StorageFault> {
    let mut sql = Sql::default();
    sql.push("SELECT ").push(HEAD).push(", NULL AS now_micros FROM log_head WHERE id = 1");
    sql.rows(db).await?.pop().ok_or(StorageFault::NoHead)
}

/// Whether Postgres has no such function, or forbids herald to call it.
fn is_not_offered(error: &DbErr) -> bool {
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    matches!(code(error).as_deref(), Some("0A000" | "42501" | "42883"))
}

fn draw_epoch() -> Epoch {
    Epoch(i64::from_be_bytes(crate::random::bytes()))
}
