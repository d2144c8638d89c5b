//! Pages of Relay: reads the arguments, and makes connections (<https://relay.dev/graphql/connections.htm>).

use async_graphql::connection::{Connection, CursorType, Edge};
use async_graphql::{Context, OutputType};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::config::Limits;
use crate::error::Error;
use crate::graphql::budget::budget_of;
use crate::log::{BlockKey, Direction, Page, ParticipantKey, SessionKey};
use crate::messaging::{Position, SessionId, Timestamp, UserId};

/// The key by which a list is ordered. A cursor holds the key of its element.
pub(crate) trait Key: Sized + Clone + Send + Sync {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

impl Key for Position {
    fn to_text(&self) -> String {
        self.0.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Position)
    }
}

impl Key for ParticipantKey {
    fn to_text(&self) -> String {
        format!("{}:{}", self.joined.0, self.user.0.simple())
    }

    fn from_text(text: &str) -> Option<Self> {
        let (joined, user) = text.split_once(':')?;
        Some(Self { joined: Position::from_text(joined)?, user: UserId(Uuid::try_parse(user).ok()?) })
    }
}

impl Key for BlockKey {
    fn to_text(&self) -> String {
        format!("{}:{}", self.at.0, self.user.0.simple())
    }

    fn from_text(text: &str) -> Option<Self> {
        let (at, user) = text.split_once(':')?;
        Some(Self { at: Timestamp(at.parse().ok()?), user: UserId(Uuid::try_parse(user).ok()?) })
    }
}

impl Key for SessionKey {
    fn to_text(&self) -> String {
        format!("{}:{}", self.created_at.0, self.id.0.simple())
    }

    fn from_text(text: &str) -> Option<Self> {
        let (created_at, id) = text.split_once(':')?;
        Some(Self {
            created_at: Timestamp(created_at.parse().ok()?),
            id: SessionId(Uuid::try_parse(id).ok()?),
        })
    }
}

/// A key that clients see as opaque text.
#[derive(Clone)]
pub(crate) struct Opaque<K>(K);

impl<K: Key> Opaque<K> {
    /// The cursor of the element with this key.
    pub(crate) fn of(key: K) -> String {
        Self(key).encode_cursor()
    }
}

impl<K: Key> CursorType for Opaque<K> {
    type Error = &'static str;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| K::from_text(std::str::from_utf8(&bytes).ok()?))
            .map(Self)
            .ok_or("is not a cursor of this list: pass one from its `pageInfo` or `edges`")
    }

    fn encode_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.to_text())
    }
}

/// The size of a list: what the argument says, or the default size of a page.
///
/// # Errors
/// [`Error::BadInput`] when the argument is negative or above the largest size.
pub(crate) fn size(argument: &'static str, size: Option<i32>, limits: &Limits) -> Result<usize, Error> {
    let Some(size) = size else { return Ok(limits.page_size) };
    let max_size = limits.max_page_size;
    usize::try_from(size)
        .ok()
        .filter(|size| *size <= max_size)
        .ok_or_else(|| Error::bad_input(argument, format!("must be from 0 to {max_size}")))
}

/// The arguments of a connection field.
pub(crate) struct PageArgs {
    pub(crate) after: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) first: Option<i32>,
    pub(crate) last: Option<i32>,
}

impl PageArgs {
    /// The page to read from the log. It has one element more than the client wants, which shows whether there is more.
    ///
    /// # Errors
    /// [`Error::BadInput`] for `first` with `last`, a size out of range, or a cursor of another list.
    pub(crate) fn page<K: Key>(self, limits: &Limits) -> Result<Page<K>, Error> {
        let (limit, direction) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Error::bad_input("first", "cannot be combined with `last`: use one of them"));
            }
            (first, None) => (size("first", first, limits)? + 1, Direction::First),
            (None, Some(last)) => (size("last", Some(last), limits)? + 1, Direction::Last),
        };
        let key = |name, text: Option<String>| match text {
            Some(text) => match Opaque::<K>::decode_cursor(&text) {
                Ok(Opaque(key)) => Ok(Some(key)),
                Err(reason) => Err(Error::bad_input(name, reason)),
            },
            None => Ok(None),
        };
        Ok(Page { after: key("after", self.after)?, before: key("before", self.before)?, limit, direction })
    }
}

/// Makes a connection of the rows that the log returned for `page`. They are in the order of the list.
pub(crate) async fn connection<K: Key, N: OutputType>(
    ctx: &Context<'_>,
    page: &Page<K>,
    rows: impl IntoIterator<Item = (K, N)>,
) -> Result<Connection<Opaque<K>, N>, Error> {
    let mut rows: Vec<_> = rows.into_iter().collect();
    budget_of(ctx)?.pay_elements(rows.len()).await;
    let wanted = page.limit - 1;
    let has_more = rows.len() > wanted;
    let (previous, next) = match page.direction {
        Direction::First => {
            rows.truncate(wanted);
            (page.after.is_some(), has_more)
        }
        Direction::Last => {
            rows.drain(..rows.len().saturating_sub(wanted));
            (has_more, page.before.is_some())
        }
    };
    let mut connection = Connection::new(previous, next);
    connection.edges.extend(rows.into_iter().map(|(key, node)| Edge::new(Opaque(key), node)));
    Ok(connection)
}
