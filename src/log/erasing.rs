//! Erases a user: what is left to do in the log, and the rows that no event speaks of. What never lives here: events, which
//! the writer appends.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::entities::{block, message, own_participation, participant, session, start, user};
use super::error::{During, StorageFault};
use super::head::Locked;
use super::sharing::share_as_chosen;
use super::users::{UserRow, count_change, user_row};
use super::wal::checkpoint;
use super::{Database, Unavailable};
use crate::messaging::{ConversationId, DisplayName, Handle, MessageId, Position, UserId};

impl Database {
    /// Messages of a sender in a conversation that are not redacted: at most `limit` of those after a position, in order.
    pub async fn messages_to_redact(
        &self,
        sender: UserId,
        conversation: ConversationId,
        after: Position,
        limit: u64,
    ) -> Result<Vec<(Position, MessageId)>, Unavailable> {
        let rows: Vec<(i64, Uuid)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Position, message::Column::Id])
            .filter(message::Column::ConversationId.eq(conversation.0))
            .filter(message::Column::Position.gt(after.0))
            .filter(message::Column::SenderId.eq(sender.0))
            .filter(message::Column::RedactedAtMicros.is_null())
            .order_by_asc(message::Column::Position)
            .limit(limit)
            .into_tuple()
            .all(&self.reader)
            .await
            .during("find the messages of a user")?;
        Ok(rows.into_iter().map(|(position, id)| (Position(position), MessageId(id))).collect())
    }

    /// The conversations that a user takes or took part in, each with whether they do so now.
    pub async fn conversations_ever_of(
        &self,
        user: UserId,
    ) -> Result<BTreeMap<ConversationId, bool>, Unavailable> {
        let stays = participant::Entity::find()
            .filter(participant::Column::UserId.eq(user.0))
            .all(&self.reader)
            .await
            .during("find the conversations of a user")?;
        let mut found = BTreeMap::new();
        for stay in stays {
            *found.entry(ConversationId(stay.conversation_id)).or_insert(false) |=
                stay.left_position.is_none();
        }
        Ok(found)
    }

    /// Takes the user's names, password and sessions away, with everything that only the user's own clients kept, and
    /// gives the user this handle and name. Returns the user of after; `None` when there is no such user.
    pub async fn erase_user(
        &self,
        id: UserId,
        handle: &Handle,
        name: &DisplayName,
    ) -> Result<Option<UserRow>, Unavailable> {
        let operation = "erase a user";
        let erased = self.count_and_erase(id, handle, name).await.during(operation)?;
        if self.wal.is_some() {
            // While somebody reads from the WAL, a part stays until a later checkpoint.
            checkpoint(&self.writer).await.during(operation)?;
        }
        Ok(erased)
    }

    async fn count_and_erase(
        &self,
        id: UserId,
        handle: &Handle,
        name: &DisplayName,
    ) -> Result<Option<UserRow>, StorageFault> {
        let Locked { transaction, head, now, .. } = self.lock().await?;
        let Some(known) = user::Entity::find_by_id(id.0).one(&transaction).await? else {
            transaction.rollback().await?;
            return Ok(None);
        };
        let number = count_change(&transaction).await?;
        let erased = user::Model {
            id: id.0,
            handle: handle.to_string(),
            display_name: name.to_string(),
            password_hash: String::new(),
            created_at: known.created_at,
            registration: None,
            external_id: None,
            disabled_at: known.disabled_at.or(Some(now.0)),
            changed: Some(number),
            share_delivered: false,
            share_read: false,
        };
        user::Entity::update(user::ActiveModel::from(erased.clone()).reset_all()).exec(&transaction).await?;
        session::Entity::delete_many().filter(session::Column::UserId.eq(id.0)).exec(&transaction).await?;
        start::Entity::delete_many().filter(start::Column::ActorId.eq(id.0)).exec(&transaction).await?;
        own_participation::Entity::delete_many()
            .filter(own_participation::Column::UserId.eq(id.0))
            .exec(&transaction)
            .await?;
        // What the user never told, nobody waits for any more.
        share_as_chosen(&transaction, id, None, head.position).await?;
        block::Entity::delete_many().filter(block::Column::BlockerId.eq(id.0)).exec(&transaction).await?;
        // What a client called its messages may say who it is.
        let nameless = message::ActiveModel { idempotency_key: Set(None), ..Default::default() };
        message::Entity::update_many()
            .set(nameless)
            .filter(message::Column::SenderId.eq(id.0))
            .filter(message::Column::IdempotencyKey.is_not_null())
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(user_row(erased)))
    }
}
