//! Compares the rows that follow from the log with the ledger: conversations, participants and starts.

use sea_orm::FromQueryResult;
use uuid::Uuid;

use super::ledger::Ledger;
use super::{Census, Check, PAGE_ROWS, unreadable};
use crate::log::convert;
use crate::log::entities::{conversation, participant, start};
use crate::log::sql::Sql;
use crate::messaging::{ConversationId, UserId};

/// A row of `participants`, with the id of its user if there is a row for the user.
#[derive(FromQueryResult)]
struct ParticipantRow {
    #[sea_orm(nested)]
    participant: participant::Model,
    known_user: Option<Uuid>,
}

impl Check<'_> {
    pub(super) async fn conversations(&self, ledger: &mut Ledger, census: &mut Census) -> Result<(), String> {
        let mut last: Option<Uuid> = None;
        loop {
            let mut sql = Sql::default();
            sql.push("SELECT ").columns::<conversation::Entity>("c").push(" FROM conversations c");
            if let Some(id) = last {
                sql.push(" WHERE id > ").bind(id);
            }
            sql.push(" ORDER BY id LIMIT ").bind(PAGE_ROWS);
            let rows: Vec<conversation::Model> = sql.rows(self.db).await.map_err(unreadable)?;
            let Some(row) = rows.last() else { return Ok(()) };
            last = Some(row.id);
            for row in rows {
                let row = convert::conversation(row).map_err(unreadable)?;
                ledger
                    .compare_conversation(&row)
                    .map_err(|reason| format!("conversation {}: {reason}", row.id.0))?;
                census.conversations += 1;
            }
        }
    }

    pub(super) async fn participants(&self, ledger: &mut Ledger, census: &mut Census) -> Result<(), String> {
        let mut last: Option<(Uuid, Uuid, i64)> = None;
        loop {
            let mut sql = Sql::default();
            sql.push("SELECT ")
                .columns::<participant::Entity>("p")
                .push(", u.id AS known_user FROM participants p LEFT JOIN users u ON u.id = p.user_id");
            if let Some((conversation, user, joined)) = last {
                sql.push(" WHERE (p.conversation_id, p.user_id, p.joined_position) > (");
                sql.bind(conversation).push(", ").bind(user).push(", ").bind(joined).push(")");
            }
            sql.push(" ORDER BY p.conversation_id, p.user_id, p.joined_position LIMIT ").bind(PAGE_ROWS);
            let rows: Vec<ParticipantRow> = sql.rows(self.db).await.map_err(unreadable)?;
            let Some(ParticipantRow { participant: row, .. }) = rows.last() else { return Ok(()) };
            last = Some((row.conversation_id, row.user_id, row.joined_position));
            for ParticipantRow { participant: row, known_user } in rows {
                let compared = match known_user {
                    Some(_) => ledger.compare_participation(&convert::participation(&row)),
                    None => Err("there is no such user".into()),
                };
                compared.map_err(|reason| {
                    let (conversation, user, joined) =
                        (row.conversation_id, row.user_id, row.joined_position);
                    format!("participant {user} of conversation {conversation}, joined at {joined}: {reason}")
                })?;
                census.stays += 1;
            }
        }
    }

    /// Checks that whoever started or found a conversation under a key took part in it.
    pub(super) async fn starts(&self, ledger: &Ledger) -> Result<(), String> {
        let mut last: Option<(Uuid, String)> = None;
        loop {
            let mut sql = Sql::default();
            sql.push("SELECT ").columns::<start::Entity>("s").push(" FROM starts s");
            if let Some((actor, key)) = last {
                sql.push(" WHERE (actor_id, idempotency_key) > (").bind(actor).push(", ").bind(key).push(")");
            }
            sql.push(" ORDER BY actor_id, idempotency_key LIMIT ").bind(PAGE_ROWS);
            let rows: Vec<start::Model> = sql.rows(self.db).await.map_err(unreadable)?;
            let Some(row) = rows.last() else { return Ok(()) };
            last = Some((row.actor_id, row.idempotency_key.clone()));
            for row in rows {
                if !ledger.took_part(UserId(row.actor_id), ConversationId(row.conversation_id)) {
                    let (actor, key, conversation) = (row.actor_id, row.idempotency_key, row.conversation_id);
                    return Err(format!(
                        "start of user {actor} with key {key:?}: they never took part in conversation {conversation}"
                    ));
                }
            }
        }
    }
}
