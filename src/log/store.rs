//! Writes the outcome of a batch, table by table. Each table takes one statement for every [`ROWS_PER_STATEMENT`] rows.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, Insert, InsertMany, Iterable};

use super::convert;
use super::entities::{conversation, log_head, participant};
use crate::messaging::{Event, Facts, IdempotencyKey};

/// Rows per statement. With at most 12 columns a row this stays far below the 32,766 parameters that SQLite
/// allows (<https://www.sqlite.org/limits.html>) and the 65,535 that Postgres does.
const ROWS_PER_STATEMENT: usize = 1_000;

/// Appends `events`, each with the idempotency key of its message, and writes the rows that they changed.
pub(super) async fn store(
    db: &impl ConnectionTrait,
    events: &[(&Event, Option<&IdempotencyKey>)],
    facts: &Facts,
) -> Result<(), DbErr> {
    upsert(
        db,
        facts.changed_conversations().map(convert::conversation_row),
        OnConflict::column(conversation::Column::Id)
            .update_columns([
                conversation::Column::Title,
                conversation::Column::LatestPosition,
                conversation::Column::ParticipantCount,
                conversation::Column::People,
            ])
            .to_owned(),
    )
    .await?;
    upsert(
        db,
        facts.changed_participations().map(convert::participation_row),
        OnConflict::columns(participant::PrimaryKey::iter())
            .update_columns([
                participant::Column::LeftPosition,
                participant::Column::DeliveredThrough,
                participant::Column::ReadThrough,
            ])
            .to_owned(),
    )
    .await?;
    insert(db, facts.new_starts().iter().map(convert::start_row)).await?;
    let records: Vec<_> = events.iter().map(|(event, key)| (event, event.change.record(), *key)).collect();
    insert(
        db,
        records
            .iter()
            .filter_map(|(_, record, key)| Some(convert::message_row(record.message.as_ref()?, *key))),
    )
    .await?;
    insert(db, records.iter().map(|(event, record, _)| convert::event_row(event, record))).await?;
    let head = log_head::ActiveModel {
        id: Set(1),
        position: Set(facts.head.position.0),
        chain: Set(facts.head.chain.0),
        // Each event moves `now` on, so this is the time of the newest event, or later.
        at_micros: Set(facts.now.0 - 1),
        ..Default::default()
    };
    log_head::Entity::update_many().set(head).exec(db).await?;
    Ok(())
}

async fn insert<A>(db: &impl ConnectionTrait, rows: impl Iterator<Item = A>) -> Result<(), DbErr>
where
    A: ActiveModelTrait,
{
    write(db, rows, |insert| insert).await
}

async fn upsert<A>(
    db: &impl ConnectionTrait,
    rows: impl Iterator<Item = A>,
    on_conflict: OnConflict,
) -> Result<(), DbErr>
where
    A: ActiveModelTrait,
{
    write(db, rows, |insert| insert.on_conflict(on_conflict.clone())).await
}

async fn write<A>(
    db: &impl ConnectionTrait,
    rows: impl Iterator<Item = A>,
    shape: impl Fn(InsertMany<A>) -> InsertMany<A>,
) -> Result<(), DbErr>
where
    A: ActiveModelTrait,
{
    let rows: Vec<A> = rows.collect();
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let insert = shape(Insert::<A>::many(rows.iter().cloned()));
        db.execute(&sea_orm::QueryTrait::into_query(insert)).await?;
    }
    Ok(())
}
