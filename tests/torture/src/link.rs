//! An open subscription over any transport.

use std::fmt;

use fastrand::Rng;

use crate::documents::subscription;
use crate::history::Scope;
use crate::socket::{Heard, Socket};
use crate::stream::{Asked, Framing, Stream};

/// The way in which a client follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    WebSocket,
    EventStream,
    Multipart,
}

/// What a client follows, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Following<'a> {
    pub(crate) token: &'a str,
    pub(crate) connection: &'a str,
    pub(crate) scope: &'a Scope,
    /// The cursor with which it once began.
    pub(crate) first: Option<&'a str>,
    /// The last cursor that it was shown. Without one it follows from where herald offers to begin.
    pub(crate) last: Option<&'a str>,
}

/// An open subscription.
pub(crate) enum Link {
    Socket(Box<Socket>),
    Stream(Box<Stream>),
}

impl Way {
    /// Half of all clients follow on a WebSocket.
    pub(crate) fn draw(random: &mut Rng) -> Self {
        match random.u32(0..4) {
            0 => Self::EventStream,
            1 => Self::Multipart,
            _ => Self::WebSocket,
        }
    }

    /// Each way in turn.
    pub(crate) fn numbered(number: usize) -> Self {
        [Self::WebSocket, Self::EventStream, Self::Multipart][number % 3]
    }

    /// Whether it begins only with a cursor from elsewhere: herald offers none.
    pub(crate) fn needs_cursor(self) -> bool {
        self == Self::Multipart
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket => "a WebSocket",
            Self::EventStream => "server-sent events",
            Self::Multipart => "a multipart response",
        })
    }
}

impl Link {
    /// Follows at the node behind a port. The answer has the cursor after which it does. The error is what was heard
    /// instead.
    pub(crate) async fn open(way: Way, port: u16, following: Following<'_>) -> Result<(Self, String), Heard> {
        let Following { token, connection, scope, first, last } = following;
        if way == Way::WebSocket {
            let mut socket = Socket::open(port, token, connection).await?;
            let after = last.unwrap_or(&socket.cursor).to_owned();
            let (query, variables) = subscription(scope, Some(&after));
            socket.subscribe(query, &variables).await?;
            return Ok((Self::Socket(Box::new(socket)), after));
        }
        // What an `EventSource` asks for stays as it was when it began: `Last-Event-ID` says how far it has come.
        let (framing, after, last_event_id) = match way {
            Way::EventStream => (Framing::EventStream, first, last),
            _ => (Framing::Multipart, last, None),
        };
        let (query, variables) = subscription(scope, after);
        let asked = Asked { token, connection, query, variables: &variables, last_event_id };
        let (mut stream, offered) = Stream::open(port, framing, asked).await?;
        let after = match (way, last, offered) {
            (Way::Multipart, Some(last), _) => last.to_owned(),
            (_, _, Some(offered)) => offered,
            // Without a cursor, the first block is the refusal.
            (_, _, None) => return Err(stream.hear().await),
        };
        Ok((Self::Stream(Box::new(stream)), after))
    }

    /// What is heard next. May be dropped and called again.
    pub(crate) async fn hear(&mut self) -> Heard {
        match self {
            Self::Socket(socket) => socket.hear().await,
            Self::Stream(stream) => stream.hear().await,
        }
    }
}
