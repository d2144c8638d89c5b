//! Loads the facts that a batch of commands needs. The number of statements does not depend on the number of commands.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoValueTuple, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter};
use uuid::Uuid;

use super::batch::KEYS_PER_STATEMENT;
use super::convert;
use super::entities::{conversation, message, participant, start, user};
use super::error::StorageFault;
use super::known_facts::KnownFacts;
use super::reader::{Direction, ReportRow, newest_report, told};
use super::sql::{Sql, union};
use super::stays::{END, InStays, end_of_stay, messages_in_stays, messages_of_stay, stays};
use super::users::user_row;
use crate::messaging::{
    Command, ConversationId, CoveredSender, Facts, IdempotencyKey, Mark, Message, MessageId, People,
    Position, UpTo, UserId, needs,
};

/// Messages after a mark that are looked at for the newest one from somebody else. Each is an entry of an index.
const MAX_EXAMINED: usize = 10_000;

/// Adds to `facts` everything that `commands` need, from what is `known` and from the database. The first facts tell
/// which other facts are needed.
pub(super) async fn load(
    db: &impl ConnectionTrait,
    commands: &[Command],
    known: &KnownFacts,
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    let wanted = needs(commands, facts);
    messages(db, &known.tell_messages(facts, wanted.messages), facts).await?;
    message_keys(db, &list(wanted.message_keys), facts).await?;
    start_keys(db, &list(wanted.start_keys), facts).await?;
    people(db, &list(wanted.people), facts).await?;
    sharing(db, &list(wanted.sharing), facts).await?;
    let wanted = needs(commands, facts).participations;
    participations(db, &known.tell_participations(facts, &wanted), facts).await?;
    let elders = list(needs(commands, facts).elders);
    if !elders.is_empty() {
        load_elders(db, &elders, facts).await?;
        let wanted = needs(commands, facts).participations;
        participations(db, &known.tell_participations(facts, &wanted), facts).await?;
    }
    // An actor who takes no part must not learn from the time whether the conversation exists, so only what the actors
    // take part in comes from memory.
    let actors: HashSet<UserId> = commands.iter().map(|command| command.actor).collect();
    let wanted = wanted.into_iter().filter(|(_, user)| actors.contains(user));
    conversations(db, &known.tell_conversations(facts, wanted), facts).await?;
    newest_received(db, &list(needs(commands, facts).newest_received), facts).await?;
    let wanted = needs(commands, facts);
    covered_senders(db, &list(wanted.covered_senders), facts).await?;
    reports(db, &list(wanted.reports), facts).await
}

fn list<T>(wanted: BTreeSet<T>) -> Vec<T> {
    wanted.into_iter().collect()
}

/// Loads the messages that users mark or redact, as far as these users may see them or own the conversation. A message that does not exist takes as long
/// as one that the user may not see, so nobody learns from the time which of the two it is.
async fn messages(
    db: &impl ConnectionTrait,
    wanted: &[(UserId, MessageId)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    for wanted in wanted.chunks(KEYS_PER_STATEMENT) {
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .columns::<message::Entity>("m")
            .push(" FROM ")
            .bind_pairs(wanted.iter().map(|(user, message)| (user.0, message.0)));
        sql.push(" CROSS JOIN messages m WHERE m.id = wanted.column2 AND (");
        end_of_stay(&mut sql, |sql| {
            sql.push("wanted.column1");
        });
        sql.push(" > m.position OR EXISTS (SELECT 1 FROM participants o WHERE o.conversation_id = m.conversation_id");
        sql.push(
            " AND o.user_id = wanted.column1 AND o.left_position IS NULL AND o.owner_since IS NOT NULL))",
        );
        let rows: Vec<message::Model> = sql.rows(db).await?;
        for row in rows {
            facts.know_message(Arc::new(convert::message(row)));
        }
    }
    Ok(())
}

/// Loads the messages that were sent before under the same keys.
async fn message_keys(
    db: &impl ConnectionTrait,
    wanted: &[(UserId, IdempotencyKey)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    for wanted in wanted.chunks(KEYS_PER_STATEMENT) {
        let known = one_of(message::Column::SenderId, message::Column::IdempotencyKey, by_user(wanted));
        // The index holds only messages with a key. It serves only a statement that asks for these.
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

/// Loads the conversations that were started before under the same keys.
async fn start_keys(
    db: &impl ConnectionTrait,
    wanted: &[(UserId, IdempotencyKey)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    for wanted in wanted.chunks(KEYS_PER_STATEMENT) {
        let known = one_of(start::Column::ActorId, start::Column::IdempotencyKey, by_user(wanted));
        for row in start::Entity::find().filter(known).all(db).await? {
            facts.know_start(convert::start(row)?);
        }
    }
    Ok(())
}

/// Loads the conversations of just these people.
async fn people(db: &impl ConnectionTrait, wanted: &[People], facts: &mut Facts) -> Result<(), StorageFault> {
    for wanted in wanted.chunks(KEYS_PER_STATEMENT) {
        // The index holds only conversations with `people`. It serves only a statement that asks for these.
        let rows = conversation::Entity::find()
            .filter(conversation::Column::People.is_not_null())
            .filter(conversation::Column::People.is_in(wanted.iter().map(|people| people.0.to_vec())))
            .all(db)
            .await?;
        for row in rows {
            facts.know_conversation(convert::conversation(row)?);
        }
    }
    Ok(())
}

/// Loads what these users share, unless that is everything.
async fn sharing(
    db: &impl ConnectionTrait,
    wanted: &[UserId],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    for wanted in wanted.chunks(KEYS_PER_STATEMENT) {
        let choosy = user::Column::ShareDelivered.eq(false).or(user::Column::ShareRead.eq(false));
        let named = user::Entity::find().filter(user::Column::Id.is_in(wanted.iter().map(|user| user.0)));
        for row in named.filter(choosy).all(db).await? {
            facts.know_sharing(UserId(row.id), user_row(row).sharing);
        }
    }
    Ok(())
}

async fn participations(
    db: &impl ConnectionTrait,
    wanted: &[(ConversationId, UserId)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    for wanted in wanted.chunks(KEYS_PER_STATEMENT) {
        let pairs = wanted.iter().map(|(conversation, user)| (conversation.0, user.0));
        let theirs = one_of(participant::Column::ConversationId, participant::Column::UserId, pairs);
        let mut found: HashMap<_, Vec<_>> = wanted.iter().map(|wanted| (*wanted, Vec::new())).collect();
        for row in &participant::Entity::find().filter(theirs).all(db).await? {
            let stay = convert::participation(row);
            found.entry((stay.conversation, stay.user)).or_default().push(stay);
        }
        for ((conversation, user), stays) in found {
            facts.know_participations(conversation, user, stays);
        }
    }
    Ok(())
}

/// Loads who has taken part for longest.
async fn load_elders(
    db: &impl ConnectionTrait,
    wanted: &[(ConversationId, usize)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    let found: Vec<Vec<ElderRow>> = union(db, wanted, |sql, (conversation, count)| {
        sql.push(
            "p.user_id AS elder FROM participants p WHERE p.left_position IS NULL AND p.conversation_id = ",
        );
        sql.bind(conversation.0).push(" ORDER BY p.joined_position, p.user_id LIMIT ");
        sql.bind(i64::try_from(*count).unwrap_or(i64::MAX));
    })
    .await?;
    for ((conversation, _), rows) in wanted.iter().zip(found) {
        facts.know_elders(*conversation, rows.into_iter().map(|row| UserId(row.elder)).collect());
    }
    Ok(())
}

async fn conversations(
    db: &impl ConnectionTrait,
    wanted: &BTreeSet<ConversationId>,
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    let wanted: Vec<_> = wanted.iter().copied().collect();
    for ids in wanted.chunks(KEYS_PER_STATEMENT) {
        let named = conversation::Column::Id.is_in(ids.iter().map(|id| id.0));
        for row in conversation::Entity::find().filter(named).all(db).await? {
            facts.know_conversation(convert::conversation(row)?);
        }
    }
    Ok(())
}

/// Loads the newest message that each of these users received, at their mark or after it. The log waits meanwhile, so of
/// what comes after the mark it looks at the newest [`MAX_EXAMINED`] messages: somebody who marks nothing may have sent
/// any number of their own.
async fn newest_received(
    db: &impl ConnectionTrait,
    wanted: &[(ConversationId, UserId, Mark)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    let backend = db.get_database_backend();
    let found: Vec<Vec<message::Model>> = union(db, wanted, |sql, (conversation, user, mark)| {
        let through = facts.through(*conversation, *user, *mark);
        let examined = InStays {
            conversation: *conversation,
            of: *user,
            received_by: None,
            after: through,
            before: END,
            direction: Direction::Last,
            limit: MAX_EXAMINED,
        };
        sql.columns::<message::Entity>("m")
            .push(" FROM messages m WHERE m.conversation_id = ")
            .bind(conversation.0);
        sql.push(" AND m.sender_id <> ").bind(user.0);
        sql.push(" AND m.position = COALESCE((SELECT MAX(subselect.position) FROM (");
        sql.push("SELECT m.position, m.sender_id");
        messages_in_stays(sql, backend, &examined);
        sql.push(") AS subselect WHERE subselect.sender_id <> ").bind(user.0);
        sql.push("), ").bind(through.0).push(")");
    })
    .await?;
    for row in found.into_iter().flatten() {
        facts.know_message(Arc::new(convert::message(row)));
    }
    Ok(())
}

/// Loads the senders of the messages that each mark would cover.
async fn covered_senders(
    db: &impl ConnectionTrait,
    wanted: &[(UserId, Mark, UpTo)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    let range = |up_to| match up_to {
        // A message that is missing from the facts does not exist for the user who marks it.
        UpTo::Message(id) => facts.message(id).map(|message| (message.conversation, message.position.next())),
        UpTo::Now(conversation) => Some((conversation, END)),
    };
    let wanted: Vec<_> = wanted.iter().filter_map(|wanted| Some((*wanted, range(wanted.2)?))).collect();
    let found: Vec<Vec<CoveredSenderRow>> = union(db, &wanted, |sql, ((marker, mark, _), range)| {
        let (conversation, end) = *range;
        let from = facts.through(conversation, *marker, *mark);
        sql.push("m.sender_id AS sender, MAX(m.position) AS newest FROM participants s");
        sql.push(" CROSS JOIN messages m WHERE ");
        // The marker receives only messages that were sent while they took part.
        stays(sql, conversation, *marker, from, end);
        sql.push(" AND ");
        messages_of_stay(sql, from, end);
        sql.push(" GROUP BY m.sender_id");
    })
    .await?;
    for (((marker, mark, up_to), _), rows) in wanted.into_iter().zip(found) {
        let sending = |row: CoveredSenderRow| CoveredSender {
            sender: UserId(row.sender),
            newest: Position(row.newest),
        };
        facts.know_covered_senders(marker, mark, up_to, rows.into_iter().map(sending).collect());
    }
    Ok(())
}

/// Loads what services said last of messages that they could not bring to recipients, and of which of these others were
/// told that they were received.
async fn reports(
    db: &impl ConnectionTrait,
    wanted: &[(UserId, MessageId)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    let wanted: Vec<_> = wanted
        .iter()
        .filter_map(|&(recipient, message)| Some((recipient, Arc::clone(facts.message(message)?))))
        .collect();
    deliveries_told(db, &wanted, facts).await?;
    let found: Vec<Vec<ReportRow>> = union(db, &wanted, |sql, (recipient, message)| {
        sql.push("e.position, e.data, e.at_micros");
        newest_report(sql, message.conversation, *recipient, message.position, END);
    })
    .await?;
    for ((recipient, message), rows) in wanted.into_iter().zip(found) {
        if let Some(row) = rows.into_iter().next() {
            facts.know_report(recipient, message.position, convert::reason(row.position, row.data)?);
        }
    }
    Ok(())
}

async fn deliveries_told(
    db: &impl ConnectionTrait,
    wanted: &[(UserId, Arc<Message>)],
    facts: &mut Facts,
) -> Result<(), StorageFault> {
    let found: Vec<Vec<ToldRow>> = union(db, wanted, |sql, (recipient, message)| {
        sql.push("p.user_id AS recipient FROM messages m JOIN participants p");
        sql.push(" ON p.conversation_id = m.conversation_id WHERE m.position = ").bind(message.position.0);
        sql.push(" AND p.user_id = ").bind(recipient.0).push(" AND ");
        told(sql, END);
    })
    .await?;
    for ((_, message), rows) in wanted.iter().zip(found) {
        for row in rows {
            facts.know_told(UserId(row.recipient), message.position);
        }
    }
    Ok(())
}

fn by_user(keys: &[(UserId, IdempotencyKey)]) -> impl Iterator<Item = (Uuid, String)> {
    keys.iter().map(|(user, key)| (user.0, key.to_string()))
}

#[derive(FromQueryResult)]
struct ToldRow {
    recipient: Uuid,
}

#[derive(FromQueryResult)]
struct ElderRow {
    elder: Uuid,
}

#[derive(FromQueryResult)]
struct CoveredSenderRow {
    sender: Uuid,
    newest: i64,
}

/// Builds `(first, second) IN (…)` in the spelling that SQLite and Postgres share.
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
