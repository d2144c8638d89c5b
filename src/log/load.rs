//! Gathering the facts behind a batch of commands: a fixed few statements, however many commands there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoValueTuple, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter};
use uuid::Uuid;

use super::batch::LIST;
use super::convert;
use super::entities::{conversation, message, participant, start};
use super::sql::{Sql, union};
use super::stays::{end_of_stay, messages_of_stay, stays};
use crate::messaging::{
    Action, Command, ConversationId, Facts, IdempotencyKey, Mark, Message, MessageId, People, Position,
    Sending, Start, UserId,
};

/// Adds to `facts` all that `commands` need.
pub(super) async fn load(
    db: &impl ConnectionTrait,
    commands: &[Command],
    facts: &mut Facts,
) -> Result<(), DbErr> {
    let marked = messages(db, commands, facts).await?;
    keys(db, commands, facts).await?;
    starts(db, commands, facts).await?;
    of_just(db, commands, facts).await?;
    let parts = parts_wanted(commands, &marked, facts);
    participations(db, &parts, facts).await?;
    conversations(db, &parts, facts).await?;
    sendings(db, commands, &marked, facts).await
}

/// The messages that are to be marked, as far as somebody who marks them may see them: what may not be seen costs what
/// does not exist costs, and nobody learns from the time which of the two it is.
async fn messages(
    db: &impl ConnectionTrait,
    commands: &[Command],
    facts: &mut Facts,
) -> Result<HashMap<MessageId, Arc<Message>>, DbErr> {
    let wanted: BTreeSet<(Uuid, Uuid)> = commands
        .iter()
        .filter_map(|command| match command.action {
            Action::Mark { message, .. } => Some((command.actor.0, message.0)),
            _ => None,
        })
        .collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    let mut found = HashMap::new();
    for wanted in wanted.chunks(LIST) {
        let mut sql = Sql::default();
        sql.push("SELECT m.* FROM ").bind_pairs(wanted.iter().copied());
        sql.push(" CROSS JOIN messages m WHERE m.id = wanted.column2 AND ");
        end_of_stay(&mut sql, |sql| {
            sql.push("wanted.column1");
        });
        sql.push(" > m.position");
        let rows: Vec<message::Model> = sql.rows(db).await?;
        for message in rows.into_iter().map(|row| Arc::new(convert::message(row))) {
            facts.know_message(Arc::clone(&message));
            found.insert(message.id, message);
        }
    }
    Ok(found)
}

/// The sends that went before under the same keys.
async fn keys(db: &impl ConnectionTrait, commands: &[Command], facts: &mut Facts) -> Result<(), DbErr> {
    let wanted: BTreeSet<(Uuid, String)> =
        commands.iter().filter_map(|command| Some((command.actor.0, command.key()?.to_string()))).collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    for wanted in wanted.chunks(LIST) {
        let known =
            one_of(message::Column::SenderId, message::Column::IdempotencyKey, wanted.iter().cloned());
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
    }
    Ok(())
}

/// What is to be started, and by whom.
fn wanted_starts(commands: &[Command]) -> impl Iterator<Item = (UserId, &Start)> {
    commands.iter().filter_map(|command| match &command.action {
        Action::Start(start) => Some((command.actor, start)),
        _ => None,
    })
}

/// What was started before under the same keys.
async fn starts(db: &impl ConnectionTrait, commands: &[Command], facts: &mut Facts) -> Result<(), DbErr> {
    let wanted: BTreeSet<(Uuid, String)> = wanted_starts(commands)
        .filter_map(|(actor, start)| Some((actor.0, start.key.as_ref()?.to_string())))
        .collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    for wanted in wanted.chunks(LIST) {
        let known = one_of(start::Column::ActorId, start::Column::IdempotencyKey, wanted.iter().cloned());
        let rows = start::Entity::find().filter(known).all(db).await?;
        for start in rows.into_iter().filter_map(convert::start) {
            facts.know_start(start);
        }
    }
    Ok(())
}

/// The one conversation of just the people with whom one is to be started.
async fn of_just(db: &impl ConnectionTrait, commands: &[Command], facts: &mut Facts) -> Result<(), DbErr> {
    let wanted: BTreeSet<People> = wanted_starts(commands)
        .filter(|(_, start)| start.is_distinct)
        .map(|(actor, start)| start.people(actor))
        .collect();
    let wanted: Vec<_> = wanted.into_iter().collect();
    for wanted in wanted.chunks(LIST) {
        // Said again, so that the partial index serves.
        let rows = conversation::Entity::find()
            .filter(conversation::Column::People.is_not_null())
            .filter(conversation::Column::People.is_in(wanted.iter().map(|people| people.0.to_vec())))
            .all(db)
            .await?;
        for row in rows {
            facts.know_conversation(convert::conversation(row));
        }
    }
    Ok(())
}

/// Whose part in which conversation the commands turn on.
fn parts_wanted(
    commands: &[Command],
    marked: &HashMap<MessageId, Arc<Message>>,
    facts: &Facts,
) -> BTreeSet<(ConversationId, UserId)> {
    let mut wanted = BTreeSet::new();
    for command in commands {
        let mut want = |conversation, user| wanted.insert((conversation, user));
        match &command.action {
            Action::Start(start) => {
                // Whoever repeats a start may have left what it made.
                let first = start.key.as_ref().and_then(|key| facts.start_by_key(command.actor, key));
                if let Some(first) = first {
                    want(first.conversation, command.actor);
                }
            }
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
    let pairs: Vec<_> = wanted.iter().map(|(conversation, user)| (conversation.0, user.0)).collect();
    for pairs in pairs.chunks(LIST) {
        let theirs =
            one_of(participant::Column::ConversationId, participant::Column::UserId, pairs.iter().copied());
        let rows = participant::Entity::find().filter(theirs).all(db).await?;
        for row in &rows {
            facts.know_participation(convert::participation(row));
        }
    }
    Ok(())
}

async fn conversations(
    db: &impl ConnectionTrait,
    wanted: &BTreeSet<(ConversationId, UserId)>,
    facts: &mut Facts,
) -> Result<(), DbErr> {
    let ids: BTreeSet<Uuid> = wanted.iter().map(|(conversation, _)| conversation.0).collect();
    let ids: Vec<_> = ids.into_iter().collect();
    for ids in ids.chunks(LIST) {
        let named = conversation::Column::Id.is_in(ids.iter().copied());
        for row in conversation::Entity::find().filter(named).all(db).await? {
            facts.know_conversation(convert::conversation(row));
        }
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
    let found: Vec<Vec<SendingRow>> = union(db, &wanted, |sql, (marker, mark, message)| {
        let message = &marked[message];
        let (from, end) = (facts.through(message.conversation, *marker, *mark), message.position.next());
        sql.push("m.sender_id AS sender, MAX(m.position) AS newest FROM participants s");
        sql.push(" CROSS JOIN messages m WHERE ");
        // Only what was sent while the marker took part is theirs to receive.
        stays(sql, message.conversation, *marker, from, end);
        sql.push(" AND ");
        messages_of_stay(sql, from, end);
        sql.push(" GROUP BY m.sender_id");
    })
    .await?;
    for ((marker, mark, message), rows) in wanted.into_iter().zip(found) {
        let sending = |row: SendingRow| Sending { sender: UserId(row.sender), newest: Position(row.newest) };
        facts.know_sendings(marker, mark, message, rows.into_iter().map(sending).collect());
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct SendingRow {
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
