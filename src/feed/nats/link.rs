//! Whether NATS carries the news: there is a connection, and the server lets this user publish and subscribe. It says so
//! only when it does not, so what it has not refused for a while holds.

use std::time::Duration;

use async_nats::{Event, Server, ServerError};
use tokio::time::Instant;

use crate::random;
use crate::trouble::Trouble;

/// How long nothing must be refused to be allowed.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// The pause after the first failure, which doubles with each.
const MIN_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(30);

static TROUBLE: Trouble = Trouble::new(
    "NATS does not carry the news: those of other nodes come late",
    "NATS carries the news again",
);

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// There is one.
    Connected,
    /// There is none any more.
    Lost,
    /// It is there, but this user may not publish or not subscribe.
    Refused,
}

/// What the client says, where it is a sign of something.
pub(super) fn read(event: &Event) -> Option<Sign> {
    match event {
        Event::Connected => Some(Sign::Connected),
        Event::Disconnected => {
            TROUBLE.note(&"the connection was lost");
            Some(Sign::Lost)
        }
        Event::ServerError(ServerError::Other(text)) if text.contains("ermissions Violation") => {
            // What it says besides is another in each try.
            let verb = if text.contains("Subscription") { "subscribe to" } else { "publish to" };
            TROUBLE.note(&format_args!("the server does not let this user {verb} herald.*"));
            Some(Sign::Refused)
        }
        Event::ServerError(error) => {
            TROUBLE.note(error);
            None
        }
        // Why a connection failed, `note` is told.
        other => {
            tracing::debug!(%other, "NATS");
            None
        }
    }
}

/// Notes what the last try at each server came to.
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

/// Notes that nothing will be carried any more.
pub(super) fn note_end() {
    TROUBLE.note(&"the client of NATS has ended");
}

/// The pause before the next try, when so many have failed: not the same for every node.
pub(super) fn pause(failed: usize) -> Duration {
    let doublings = u32::try_from(failed.saturating_sub(1)).unwrap_or(u32::MAX).min(5);
    let most = (MIN_RETRY_PAUSE * 2_u32.pow(doublings)).min(MAX_RETRY_PAUSE);
    let [share] = random::bytes();
    most / 2 + most / 2 * u32::from(share) / 255
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Link {
    was_connected: bool,
    is_refused: bool,
    /// The server has been asked since, and has not refused.
    is_asked: bool,
    refusals: usize,
    next: Instant,
}

impl Link {
    pub(super) fn new() -> Self {
        let next = Instant::now() + STABLE_AFTER;
        Self { was_connected: false, is_refused: false, is_asked: false, refusals: 0, next }
    }

    /// Whether the server is known not to let this user do what it must.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// When `wake` is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Takes note of a sign. `true` when the server is to be asked now.
    pub(super) fn heed(&mut self, sign: Sign) -> bool {
        match sign {
            Sign::Connected => {
                if !self.was_connected {
                    tracing::info!("NATS is connected");
                }
                self.was_connected = true;
                self.is_asked = true;
                self.next = Instant::now() + STABLE_AFTER;
                true
            }
            Sign::Lost => false,
            Sign::Refused => {
                if self.is_asked || !self.is_refused {
                    self.refusals += 1;
                    self.next = Instant::now() + pause(self.refusals);
                }
                self.is_refused = true;
                self.is_asked = false;
                false
            }
        }
    }

    /// Looks how things are. `true` when the server is to be asked now.
    pub(super) fn wake(&mut self, is_connected: bool) -> bool {
        self.next = Instant::now() + STABLE_AFTER;
        if !is_connected {
            self.is_asked = false;
            return false;
        }
        if self.is_refused && !self.is_asked {
            self.is_asked = true;
            return true;
        }
        (self.is_refused, self.is_asked, self.refusals) = (false, false, 0);
        TROUBLE.worked();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_a_minute_and_no_further() {
        for (failed, most) in [(0, 1), (1, 1), (2, 2), (3, 4), (6, 30), (usize::MAX, 30)] {
            let most = Duration::from_secs(most);
            let pauses: Vec<_> = (0..200).map(|_| pause(failed)).collect();
            assert!(pauses.iter().all(|pause| (most / 2..=most).contains(pause)), "{failed}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "nodes come one by one");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_asked_again_and_holds_when_nothing_refuses_it() {
        let mut link = Link::new();
        assert!(link.heed(Sign::Connected));
        assert!(!link.heed(Sign::Refused) && link.is_refused());
        for _ in 0..3 {
            let next = link.next();
            assert!(!link.heed(Sign::Refused) && link.next() == next, "further refusals put nothing off");
            tokio::time::advance(next - Instant::now()).await;
            assert!(link.wake(true) && link.is_refused());
            assert!(!link.heed(Sign::Refused) && link.is_refused());
        }
        tokio::time::advance(link.next() - Instant::now()).await;
        assert!(!link.wake(false) && link.is_refused(), "without a connection nobody is asked");
        tokio::time::advance(STABLE_AFTER).await;
        assert!(link.wake(true) && link.is_refused());
        tokio::time::advance(STABLE_AFTER).await;
        assert!(!link.wake(true) && !link.is_refused());
    }
}
