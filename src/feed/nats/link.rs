//! Whether NATS carries notifications: there is a connection, and the server lets this user publish and subscribe. A
//! server reports only what it refuses. So herald takes what was not refused for a while as allowed.

use std::time::Duration;

use async_nats::{Event, Server, ServerError};
use tokio::time::Instant;

use crate::random;
use crate::trouble::Trouble;

/// The time without a refusal after which herald takes the connection as working.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// The pause after the first failure. It doubles with each further one.
const MIN_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two tries.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(30);

static TROUBLE: Trouble = Trouble::new(
    "NATS does not carry notifications: those of other nodes come late",
    "NATS carries notifications again",
);

/// A change of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkEvent {
    /// The client has connected.
    Connected,
    /// The client has lost its connection.
    Lost,
    /// The server does not let this user publish, or does not let it subscribe.
    Refused,
}

/// What an event of the client means for the link; `None` when it means nothing. Notes the cause of a failure.
pub(super) fn read(event: &Event) -> Option<LinkEvent> {
    match event {
        Event::Connected => Some(LinkEvent::Connected),
        Event::Disconnected => {
            TROUBLE.note(&"the connection was lost");
            Some(LinkEvent::Lost)
        }
        Event::ServerError(ServerError::Other(text)) if text.contains("ermissions Violation") => {
            // The rest of the text differs with each try, and would look like another cause.
            let verb = if text.contains("Subscription") { "subscribe to" } else { "publish to" };
            TROUBLE.note(&format_args!("the server does not let this user {verb} herald.*"));
            Some(LinkEvent::Refused)
        }
        Event::ServerError(error) => {
            TROUBLE.note(error);
            None
        }
        // `note` logs why a connection failed.
        other => {
            tracing::debug!(%other, "NATS");
            None
        }
    }
}

/// Notes why the last try at each server failed.
pub(super) fn note(servers: &[Server]) {
    let failed = servers.iter().filter_map(|server| {
        let error = server.last_error.as_ref()?;
        Some(format!("{}:{}: {error}", server.addr.host(), server.addr.port()))
    });
    let failed = failed.collect::<Vec<_>>().join("; ");
    if !failed.is_empty() {
        TROUBLE.note(&failed);
    }
}

/// Notes that the client has ended, so that no notification comes any more.
pub(super) fn note_end() {
    TROUBLE.note(&"the client of NATS has ended");
}

/// The pause before the next try, after `failed` failures. It is partly random, so that nodes do not come all at once.
pub(super) fn pause(failed: usize) -> Duration {
    let doublings = u32::try_from(failed.saturating_sub(1)).unwrap_or(u32::MAX).min(5);
    let longest = (MIN_RETRY_PAUSE * 2_u32.pow(doublings)).min(MAX_RETRY_PAUSE);
    let [share] = random::bytes();
    longest / 2 + longest / 2 * u32::from(share) / 255
}

/// What herald knows of the connection.
#[derive(Debug)]
pub(super) struct Link {
    was_connected: bool,
    is_refused: bool,
    /// The server has been probed since the last refusal, and has not refused again.
    is_probed: bool,
    refusals: usize,
    next_check: Instant,
}

impl Link {
    pub(super) fn new() -> Self {
        let next_check = Instant::now() + STABLE_AFTER;
        Self { was_connected: false, is_refused: false, is_probed: false, refusals: 0, next_check }
    }

    /// Whether the server refused this user, and has not been found to allow it since.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// When `check` is due.
    pub(super) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// Handles an event. `true` when the caller must probe the server now.
    pub(super) fn handle(&mut self, event: LinkEvent) -> bool {
        match event {
            LinkEvent::Connected => {
                if !self.was_connected {
                    tracing::info!("NATS is connected");
                }
                self.was_connected = true;
                self.is_probed = true;
                self.next_check = Instant::now() + STABLE_AFTER;
                true
            }
            LinkEvent::Lost => false,
            LinkEvent::Refused => {
                if self.is_probed || !self.is_refused {
                    self.refusals += 1;
                    self.next_check = Instant::now() + pause(self.refusals);
                }
                self.is_refused = true;
                self.is_probed = false;
                false
            }
        }
    }

    /// Updates the state when `next_check` has come. `true` when the caller must probe the server now.
    pub(super) fn check(&mut self, is_connected: bool) -> bool {
        self.next_check = Instant::now() + STABLE_AFTER;
        if !is_connected {
            self.is_probed = false;
            return false;
        }
        if self.is_refused && !self.is_probed {
            self.is_probed = true;
            return true;
        }
        (self.is_refused, self.is_probed, self.refusals) = (false, false, 0);
        TROUBLE.worked();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_no_further() {
        for (failed, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (6, 30), (usize::MAX, 30)] {
            let longest = Duration::from_secs(seconds);
            let pauses: Vec<_> = (0..200).map(|_| pause(failed)).collect();
            assert!(
                pauses.iter().all(|pause| (longest / 2..=longest).contains(pause)),
                "{failed}: {pauses:?}"
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "the pauses differ");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_server_is_probed_again_until_it_refuses_nothing() {
        let mut link = Link::new();
        assert!(link.handle(LinkEvent::Connected));
        assert!(!link.handle(LinkEvent::Refused) && link.is_refused());
        for _ in 0..3 {
            let next = link.next_check();
            assert!(
                !link.handle(LinkEvent::Refused) && link.next_check() == next,
                "further refusals postpone nothing"
            );
            tokio::time::advance(next - Instant::now()).await;
            assert!(link.check(true) && link.is_refused());
            assert!(!link.handle(LinkEvent::Refused) && link.is_refused());
        }
        tokio::time::advance(link.next_check() - Instant::now()).await;
        assert!(!link.check(false) && link.is_refused(), "nothing is probed without a connection");
        tokio::time::advance(STABLE_AFTER).await;
        assert!(link.check(true) && link.is_refused());
        tokio::time::advance(STABLE_AFTER).await;
        assert!(!link.check(true) && !link.is_refused());
    }
}
