//! Gathering the facts behind a batch of commands: a fixed few statements, however many commands there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoValueTuple, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::convert;
use super::entities::{conversation, message, participant};
use crate::messaging::{
    Action, Command, ConversationId, Facts, IdempotencyKey, Interval, Mark, Message, MessageId, Position, Sending,
    UserId,
};

/// Adds to `facts` all that `commands` need.
pub(super) async fn load(
    db: &impl ConnectionTrait,
    commands: &[Command],
    facts: &mut Facts,
) -> Result<(), DbErr> {
    let marked = messages(db, commands, facts).await?;
    keys(db, commands, facts).await?;
    let parts = parts_wanted(commands, &marked);
    participations(db, &parts, facts).await?;
    conversations(db, &parts, facts).await?;
    sendings(db, commands, &marked, facts).await
}

/// The messages that are to be marked.
async fn messages(
    db: &impl ConnectionTrait,
    commands: &[Command],
    facts: &mut Facts,
) -> Result<HashMap<MessageId, Arc<Message>>, DbErr> {
    let wanted: BTreeSet<Uuid> = commands
        .iter()
        .filter_map(|command| match command.action {
            Action::Mark { message, .. } => Some(message.0),
            _ => None,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = message::Entity::find().filter(message::Column::Id.is_in(wanted)).all(db).await?;
    let found: Vec<_> = rows.into_iter().map(|row| Arc::new(convert::message(row))).collect();
    for message in &found {
        facts.know_message(Arc::clone(message));
    }
    Ok(found.into_iter().map(|message| (message.id, message)).collect())
}

/// The sends that went before under the same keys.
async fn keys(db: &impl ConnectionTrait, commands: &[Command], facts: &mut Facts) -> Result<(), DbErr> {
    let wanted: BTreeSet<(Uuid, String)> =
        commands.iter().filter_map(|command| Some((command.actor.0, command.key()?.to_string()))).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let known = one_of(message::Column::SenderId, message::Column::IdempotencyKey, wanted);
    // Said again, so that the partial index serves.
    let rows = message::Entity::find()
        .filter(message::Column::IdempotencyKey.is_not_null())
        .filter(known)
        .all(db)
        .await?;
    for mut row in rows {
        if let Some(key) = row.idempotency_key.take() {
            facts.know_key(IdempotencyKey::trusted(key), Arc::new(convert::message(row)));
        }
    }
    Ok(())
}

/// Whose part in which conversation the commands turn on.
fn parts_wanted(
    commands: &[Command],
    marked: &HashMap<MessageId, Arc<Message>>,
) -> BTreeSet<(ConversationId, UserId)> {
    let mut wanted = BTreeSet::new();
    for command in commands {
        let mut want = |conversation, user| wanted.insert((conversation, user));
        match &command.action {
            Action::Start { .. } => {}
            Action::Add { conversation, users } => {
                want(*conversation, command.actor);
                for user in users {
                    want(*conversation, *user);
                }
            }
            Action::Leave { conversation } | Action::Send { conversation, .. } => {
                want(*conversation, command.actor);
            }
            Action::Mark { message, .. } => {
                if let Some(message) = marked.get(message) {
                    want(message.conversation, command.actor);
                }
            }
        }
    }
    wanted
}

async fn participations(
    db: &impl ConnectionTrait,
    wanted: &BTreeSet<(ConversationId, UserId)>,
    facts: &mut Facts,
) -> Result<(), DbErr> {
    if wanted.is_empty() {
        return Ok(());
    }
    let pairs = wanted.iter().map(|(conversation, user)| (conversation.0, user.0));
    let rows = participant::Entity::find()
        .filter(one_of(participant::Column::ConversationId, participant::Column::UserId, pairs))
        .all(db)
        .await?;
    for row in &rows {
        facts.know_participation(convert::participation(row));
    }
    Ok(())
}

async fn conversations(
    db: &impl ConnectionTrait,
    wanted: &BTreeSet<(ConversationId, UserId)>,
    facts: &mut Facts,
) -> Result<(), DbErr> {
    let ids: BTreeSet<Uuid> = wanted.iter().map(|(conversation, _)| conversation.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = conversation::Entity::find().filter(conversation::Column::Id.is_in(ids)).all(db).await?;
    for row in rows {
        facts.know_conversation(convert::conversation(row));
    }
    Ok(())
}

/// In large conversations: who sent what a mark is about to cover.
async fn sendings(
    db: &impl ConnectionTrait,
    commands: &[Command],
    marked: &HashMap<MessageId, Arc<Message>>,
    facts: &mut Facts,
) -> Result<(), DbErr> {
    for command in commands {
        let Action::Mark { message, mark } = command.action else { continue };
        let Some(message) = marked.get(&message) else { continue };
        let large = facts
            .conversation(message.conversation)
            .is_some_and(|conversation| conversation.participants > facts.small_conversation);
        if large {
            let sendings = sendings_up_to(db, message, command.actor, mark, facts).await?;
            facts.know_sendings(message.id, sendings);
        }
    }
    Ok(())
}

async fn sendings_up_to(
    db: &impl ConnectionTrait,
    message: &Message,
    marker: UserId,
    mark: Mark,
    facts: &Facts,
) -> Result<Vec<Sending>, DbErr> {
    let from = facts.through(message.conversation, marker, mark);
    // Only what was sent while the marker took part is theirs to receive.
    let mut received = Condition::any();
    for Interval { joined, left } in facts.participations(message.conversation, marker).iter().map(|p| p.interval) {
        let since = Condition::all().add(message::Column::Position.gte(joined.0));
        received = received.add(since.add_option(left.map(|left| message::Column::Position.lte(left.0))));
    }
    let rows: Vec<(Uuid, i64)> = message::Entity::find()
        .select_only()
        .column(message::Column::SenderId)
        .column_as(message::Column::Position.max(), "newest")
        .filter(message::Column::ConversationId.eq(message.conversation.0))
        .filter(message::Column::Position.gt(from.0))
        .filter(message::Column::Position.lte(message.position.0))
        .filter(received)
        .group_by(message::Column::SenderId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(sender, newest)| Sending { sender: UserId(sender), newest: Position(newest) })
        .collect())
}

/// `(first, second) IN (…)`, in the one spelling that SQLite and Postgres share.
fn one_of<V: IntoValueTuple>(
    first: impl ColumnTrait,
    second: impl ColumnTrait,
    pairs: impl IntoIterator<Item = V>,
) -> SimpleExpr {
    let pairs = pairs.into_iter().map(IntoValueTuple::into_value_tuple);
    let values: SelectStatement =
        Query::select().expr(Expr::cust("*")).from_values(pairs, Alias::new("wanted")).to_owned();
    Expr::tuple([Expr::col(first), Expr::col(second)]).in_subquery(values)
}
