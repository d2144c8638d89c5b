//! `herald user export`: everything that herald has of one user, as lines of JSON.

use herald::accounts::ActAs;
use herald::config::DatabaseArgs;
use herald::error::Error;
use herald::log::{
    BlockKey, ConversationRow, Database, Described, Direction, Page, SessionKey, Unavailable, UserRow,
};
use herald::messaging::{
    Change, ConversationId, Description, Mark, Metadata, Participation, Position, Role, Updated,
};
use serde_json::{Value, json};

use super::{CommandError, instant, print};

/// Lines that one statement reads.
const PAGE: u32 = 500;

/// Prints everything of a user who is named by id, as `handle:NAME` or as `external:ID`.
pub(super) async fn export(user: &str, args: &DatabaseArgs) -> Result<(), CommandError> {
    let named: ActAs = user.parse().map_err(|error: Error| CommandError::Refused(error.about("USER")))?;
    let database = Database::open_existing(&args.options(None)).await.map_err(CommandError::database)?;
    let user = named.find(&database).await.map_err(unavailable)?;
    let user = user.ok_or(CommandError::Refused(Error::NotFound("user")))?;
    Export { database: &database, user: &user }.all().await?;
    database.close().await;
    Ok(())
}

fn unavailable(error: Unavailable) -> CommandError {
    CommandError::unavailable("read what there is of the user")(error)
}

/// What is read of whom.
struct Export<'a> {
    database: &'a Database,
    user: &'a UserRow,
}

impl Export<'_> {
    async fn all(&self) -> Result<(), CommandError> {
        let UserRow { id, handle, display_name, created_at, external_id, disabled_at, sharing, .. } =
            self.user;
        line(&json!({
            "type": "profile",
            "id": id.to_string(),
            "handle": handle.as_str(),
            "displayName": display_name.as_str(),
            "externalId": external_id.as_ref().map(ToString::to_string),
            "createdAt": instant(*created_at),
            "disabledAt": disabled_at.map(instant),
            "shareDelivered": sharing.tells(Mark::Delivered),
            "shareRead": sharing.tells(Mark::Read),
        }))?;
        self.sessions().await?;
        self.blocks().await?;
        for conversation in self.database.conversations_ever_of(*id).await.map_err(unavailable)?.into_keys() {
            self.conversation(conversation).await?;
            self.messages(conversation).await?;
            for mark in [Mark::Delivered, Mark::Read] {
                self.marks(conversation, mark, true).await?;
                self.marks(conversation, mark, false).await?;
            }
        }
        Ok(())
    }

    /// The sessions that have not ended, without what stands for them.
    async fn sessions(&self) -> Result<(), CommandError> {
        let mut page = first_page::<SessionKey>();
        loop {
            let now = self.database.now();
            let rows = self.database.sessions_of(self.user.id, now, &page).await.map_err(unavailable)?;
            let Some(last) = rows.last() else { return Ok(()) };
            page.after = Some(last.key());
            for row in rows {
                line(&json!({
                    "type": "session",
                    "createdAt": instant(row.created_at),
                    "lastUsedAt": instant(row.last_used_at),
                    "expiresAt": instant(row.expires_at),
                }))?;
            }
        }
    }

    async fn blocks(&self) -> Result<(), CommandError> {
        let mut page = first_page::<BlockKey>();
        loop {
            let rows = self.database.blocked_by(self.user.id, &page).await.map_err(unavailable)?;
            let Some(last) = rows.last() else { return Ok(()) };
            page.after = Some(*last);
            for row in rows {
                let user = row.user.to_string();
                line(&json!({ "type": "block", "user": user, "at": instant(row.at) }))?;
            }
        }
    }

    /// A conversation with the times at which the user took part in it. Of one that they have left, what it was then.
    async fn conversation(&self, id: ConversationId) -> Result<(), CommandError> {
        let stays = self.database.participations(self.user.id, [id]).await.map_err(unavailable)?;
        let read = self.database.conversations_by_id(&[id]).await.pop().unwrap_or(Err(Unavailable::Now));
        let Some(row) = read.map_err(unavailable)? else { return Ok(()) };
        let Description { title, metadata } = match stays.last().and_then(|stay| stay.interval.left) {
            Some(left) => self.as_of(&row, left).await?,
            None => Description { title: row.title, metadata: row.metadata },
        };
        let own = self.database.own_participations(&[(self.user.id, id)]).await.pop();
        let own = own.unwrap_or(Err(Unavailable::Now)).map_err(unavailable)?;
        line(&json!({
            "type": "conversation",
            "id": id.to_string(),
            "title": title.map(|title| title.to_string()),
            "metadata": parsed(metadata.as_ref()),
            "createdAt": instant(row.created_at),
            "own": {
                "mutedUntil": own.muted_until.map(instant),
                "metadata": parsed(own.metadata.as_ref()),
                "shareDelivered": own.sharing.tells(Mark::Delivered),
                "shareRead": own.sharing.tells(Mark::Read),
            },
            "stays": self.stays(&stays).await?,
        }))
    }

    /// What a conversation was at a position. Whatever changed it first after that says what was before.
    async fn as_of(&self, row: &ConversationRow, position: Position) -> Result<Description, CommandError> {
        let keys = [Described::Renamed, Described::Updated].map(|kind| (row.id, position, kind));
        let next: Result<Vec<_>, _> = self.database.next_described(&keys).await.into_iter().collect();
        let next = next.map_err(unavailable)?;
        let (renamed, updated) = (next.first().cloned().flatten(), next.get(1).cloned().flatten());
        let first = [&renamed, &updated].into_iter().flatten().min_by_key(|event| event.position);
        let title = match first.map(|event| event.change.clone()) {
            Some(Change::Renamed(renamed)) => renamed.former,
            Some(Change::Updated(updated)) => updated.former.title,
            _ => row.title.clone(),
        };
        let updated = updated.and_then(|event| Updated::of(event.change.clone()));
        let metadata = updated.map_or_else(|| row.metadata.clone(), |updated| updated.former.metadata);
        Ok(Description { title, metadata })
    }

    async fn stays(&self, stays: &[Participation]) -> Result<Vec<Value>, CommandError> {
        let left: Vec<Position> = stays.iter().filter_map(|stay| stay.interval.left).collect();
        let times = self.database.times_of(&left).await.map_err(unavailable)?;
        let stay = |stay: &Participation| {
            let left = stay.interval.left.and_then(|left| times.get(&left));
            let role = if stay.role(stay.interval.left) == Role::Owner { "OWNER" } else { "MEMBER" };
            json!({ "joinedAt": instant(stay.joined_at), "leftAt": left.copied().map(instant), "role": role })
        };
        Ok(stays.iter().map(stay).collect())
    }

    async fn messages(&self, conversation: ConversationId) -> Result<(), CommandError> {
        let mut after = Position::START;
        // A page has messages of everybody, so that each statement is short where the user said little.
        while let Some(through) =
            self.database.messages_through(conversation, after, PAGE.into()).await.map_err(unavailable)?
        {
            let page = self.database.messages_sent(self.user.id, conversation, after, through).await;
            let page = page.map_err(unavailable)?;
            after = through;
            for (message, key) in page {
                line(&json!({
                    "type": "message",
                    "id": message.id.to_string(),
                    "conversation": conversation.to_string(),
                    "sentAt": instant(message.sent_at),
                    "body": message.body.as_str(),
                    "metadata": parsed(message.metadata.as_ref()),
                    "redactedAt": message.redacted_at.map(instant),
                    "idempotencyKey": key.map(|key| key.to_string()),
                }))?;
            }
        }
        Ok(())
    }

    /// The marks of one kind: those that others were told of, or those that they were not.
    async fn marks(
        &self,
        conversation: ConversationId,
        mark: Mark,
        is_shared: bool,
    ) -> Result<(), CommandError> {
        let (user, mut after) = (self.user.id, Position::START);
        let name = match mark {
            Mark::Delivered => "DELIVERED",
            Mark::Read => "READ",
        };
        loop {
            let page =
                self.database.marks_made(user, conversation, mark, is_shared, after, PAGE.into()).await;
            let page = page.map_err(unavailable)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.through;
            for made in page {
                line(&json!({
                    "type": "mark",
                    "mark": name,
                    "isShared": is_shared,
                    "conversation": conversation.to_string(),
                    "upTo": made.message.map(|message| message.to_string()),
                    "at": instant(made.at),
                }))?;
            }
        }
    }
}

fn first_page<K>() -> Page<K> {
    Page { after: None, before: None, limit: PAGE as usize, direction: Direction::First }
}

/// The JSON of what clients keep; null for nothing.
fn parsed(metadata: Option<&Metadata>) -> Option<Value> {
    metadata.and_then(|metadata| serde_json::from_str(metadata.as_str()).ok())
}

fn line(value: &Value) -> Result<(), CommandError> {
    print(&format!("{value}\n"))
}
