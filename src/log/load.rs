//! Gathering the facts behind a batch of commands: a fixed few statements, however many commands there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoValueTuple, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter};
use uuid::Uuid;

use super::convert;
use super::entities::{conversation, message, participant};
use super::sql::{union, within};
use crate::messaging::{
    Action, Command, ConversationId, Facts, IdempotencyKey, Mark, Message, MessageId, Position, Sending,
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

/// Where a conversation is large, or may become so within this batch: who sent what a mark is about to cover.
async fn sendings(
    db: &impl ConnectionTrait,
    commands: &[Command],
    marked: &HashMap<MessageId, Arc<Message>>,
    facts: &mut Facts,
) -> Result<(), DbErr> {
    let added = |id| -> usize {
        let adds = commands.iter().map(|command| match &command.action {
            Action::Add { conversation, users } if *conversation == id => users.len(),
            _ => 0,
        });
        adds.sum()
    };
    let wanted: BTreeSet<(UserId, Mark, MessageId)> = commands
        .iter()
        .filter_map(|command| match command.action {
            Action::Mark { message, mark } => Some((command.actor, mark, marked.get(&message)?)),
            _ => None,
        })
        .filter(|(_, _, message)| {
            facts.conversation(message.conversation).is_some_and(|conversation| {
                let most = conversation.participants as usize + added(conversation.id);
                most > facts.small_conversation as usize
            })
        })
        .map(|(marker, mark, message)| (marker, mark, message.id))
        .collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    let rows: Vec<SendingRow> = union(db, &wanted, |sql, number, (marker, mark, message)| {
        let message = &marked[message];
        let from = facts.through(message.conversation, *marker, *mark);
        sql.push("SELECT ").bind(number);
        sql.push(" AS number, m.sender_id AS sender, MAX(m.position) AS newest FROM messages m");
        sql.push(" WHERE m.conversation_id = ").bind(message.conversation.0);
        sql.push(" AND m.position > ").bind(from.0).push(" AND m.position <= ").bind(message.position.0);
        // Only what was sent while the marker took part is theirs to receive.
        let parts = facts.participations(message.conversation, *marker);
        within(sql, parts.iter().map(|part| part.interval));
        sql.push(" GROUP BY m.sender_id");
    })
    .await?;
    let mut found = vec![Vec::new(); wanted.len()];
    for row in rows {
        if let Some(sendings) = usize::try_from(row.number).ok().and_then(|number| found.get_mut(number)) {
            sendings.push(Sending { sender: UserId(row.sender), newest: Position(row.newest) });
        }
    }
    for ((marker, mark, message), sendings) in wanted.into_iter().zip(found) {
        facts.know_sendings(marker, mark, message, sendings);
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct SendingRow {
    number: i64,
    sender: Uuid,
    newest: i64,
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
