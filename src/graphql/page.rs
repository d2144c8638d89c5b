//! Relay's pages: arguments in, connections out (<https://relay.dev/graphql/connections.htm>).

use async_graphql::OutputType;
use async_graphql::connection::{Connection, CursorType, Edge};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::config::Limits;
use crate::error::Error;
use crate::log::{Direction, Page, ParticipantKey};
use crate::messaging::{Position, UserId};

/// The place of an element in its list.
pub(super) trait Key: Sized + Clone + Send + Sync {
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

/// A key as a client sees it: opaque.
#[derive(Clone)]
pub(super) struct Opaque<K>(K);

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

/// The arguments of a connection field.
pub(super) struct PageArgs {
    pub(super) after: Option<String>,
    pub(super) before: Option<String>,
    pub(super) first: Option<i32>,
    pub(super) last: Option<i32>,
}

impl PageArgs {
    /// What to ask the log for: one more than the client wants, which tells whether there is more.
    pub(super) fn page<K: Key>(self, limits: &Limits) -> Result<Page<K>, Error> {
        let size = |name, n: i32| match usize::try_from(n) {
            Ok(n) if n <= limits.max_page_size => Ok(n + 1),
            _ => Err(Error::bad_input(name, format!("must be from 0 to {}", limits.max_page_size))),
        };
        let (limit, direction) = match (self.first, self.last) {
            (Some(_), Some(_)) => {
                return Err(Error::bad_input("first", "cannot be combined with `last`: choose one"));
            }
            (Some(first), None) => (size("first", first)?, Direction::First),
            (None, Some(last)) => (size("last", last)?, Direction::Last),
            (None, None) => (limits.page_size + 1, Direction::First),
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

/// More than any limit on complexity, and little enough that a document's sum of such numbers does not overflow.
const HOPELESS: usize = 1 << 40;

/// What a list of `elements` adds to the complexity of a query, each of which comes to `each`.
pub(super) fn complexity(elements: usize, each: usize) -> usize {
    elements.saturating_mul(each).min(HOPELESS)
}

/// What a page adds to the complexity of a query. Without a size it is taken for one of the default size.
pub(super) fn page_complexity(first: Option<i32>, last: Option<i32>, each: usize) -> usize {
    complexity(first.or(last).and_then(|n| usize::try_from(n).ok()).unwrap_or(50), each)
}

/// Makes a connection of what the log returned for `page`, in the order of the list.
pub(super) fn connection<K: Key, N: OutputType>(
    page: &Page<K>,
    rows: impl IntoIterator<Item = (K, N)>,
) -> Connection<Opaque<K>, N> {
    let mut rows: Vec<_> = rows.into_iter().collect();
    let wanted = page.limit - 1;
    let more = rows.len() > wanted;
    let (previous, next) = match page.direction {
        Direction::First => {
            rows.truncate(wanted);
            (page.after.is_some(), more)
        }
        Direction::Last => {
            rows.drain(..rows.len().saturating_sub(wanted));
            (more, page.before.is_some())
        }
    };
    let mut connection = Connection::new(previous, next);
    connection.edges.extend(rows.into_iter().map(|(key, node)| Edge::new(Opaque(key), node)));
    connection
}
