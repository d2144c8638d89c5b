//! A filter that loses, repeats and reorders the messages of a nats-server on their way to one client.
//!
//! It reads the server's side of the NATS client protocol
//! (<https://docs.nats.io/reference/reference-protocols/nats-protocol>) as far as it must to know where a
//! message begins and ends. Everything that is not a message passes unchanged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fastrand::Rng;

use crate::proxy::{Change, Filter};

/// How likely a message meets with each fault, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chances {
    /// That it is lost.
    pub drop: u32,
    /// That it comes twice.
    pub double: u32,
    /// That it comes after the one that follows it.
    pub reorder: u32,
}

/// How many messages met with each fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Happened {
    /// Lost.
    pub dropped: u64,
    /// Passed on twice.
    pub doubled: u64,
    /// Passed on after their successor.
    pub reordered: u64,
}

/// The filter. Its clones share what is set and what is counted.
#[derive(Debug, Clone)]
pub struct NatsFaults {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    seed: AtomicU64,
    drop: AtomicU32,
    double: AtomicU32,
    reorder: AtomicU32,
    dropped: AtomicU64,
    doubled: AtomicU64,
    reordered: AtomicU64,
}

/// What becomes of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    Double,
    HoldBack,
}

impl NatsFaults {
    /// A filter that does nothing yet. What it will do is drawn from this seed.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Shared { seed: AtomicU64::new(seed), ..Shared::default() }) }
    }

    /// Sets how likely the faults are from now on, on connections under way too.
    pub fn set(&self, chances: Chances) {
        self.shared.drop.store(chances.drop, Ordering::Relaxed);
        self.shared.double.store(chances.double, Ordering::Relaxed);
        self.shared.reorder.store(chances.reorder, Ordering::Relaxed);
    }

    /// What has happened so far.
    pub fn happened(&self) -> Happened {
        Happened {
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            doubled: self.shared.doubled.load(Ordering::Relaxed),
            reordered: self.shared.reordered.load(Ordering::Relaxed),
        }
    }
}

impl Filter for NatsFaults {
    fn connection(&self) -> Change {
        let shared = Arc::clone(&self.shared);
        // Each connection draws for itself: what happens on one does not depend on the others.
        let mut random = Rng::with_seed(shared.seed.fetch_add(1, Ordering::Relaxed));
        let mut messages = Messages::default();
        Box::new(move |bytes: &[u8]| messages.pass(bytes, || shared.draw(&mut random)))
    }
}

impl Shared {
    fn draw(&self, random: &mut Rng) -> Fate {
        let drop = self.drop.load(Ordering::Relaxed);
        let double = drop + self.double.load(Ordering::Relaxed);
        let reorder = double + self.reorder.load(Ordering::Relaxed);
        let drawn = random.u32(0..1_000);
        let (fate, count) = match drawn {
            _ if drawn < drop => (Fate::Drop, &self.dropped),
            _ if drawn < double => (Fate::Double, &self.doubled),
            _ if drawn < reorder => (Fate::HoldBack, &self.reordered),
            _ => return Fate::Pass,
        };
        count.fetch_add(1, Ordering::Relaxed);
        fate
    }
}

/// What a server says, cut into messages.
#[derive(Debug, Default)]
struct Messages {
    /// The beginning of what is not whole yet.
    partial: Vec<u8>,
    /// A message that waits for its successor.
    held: Option<Vec<u8>>,
}

impl Messages {
    /// What is passed on now that these bytes have arrived.
    fn pass(&mut self, bytes: &[u8], mut fate: impl FnMut() -> Fate) -> Vec<u8> {
        self.partial.extend_from_slice(bytes);
        let mut out = Vec::new();
        let mut done = 0;
        while let Some(Frame { length, is_message }) = frame(&self.partial[done..]) {
            let whole = &self.partial[done..done + length];
            done += length;
            match if is_message { fate() } else { Fate::Pass } {
                Fate::Drop => continue,
                Fate::HoldBack if self.held.is_none() => {
                    self.held = Some(whole.to_vec());
                    continue;
                }
                Fate::Double => {
                    out.extend_from_slice(whole);
                    out.extend_from_slice(whole);
                }
                Fate::Pass | Fate::HoldBack => out.extend_from_slice(whole),
            }
            if is_message {
                out.extend(self.held.take().unwrap_or_default());
            }
        }
        self.partial.drain(..done);
        out
    }
}

/// Something whole that the server said.
struct Frame {
    length: usize,
    is_message: bool,
}

/// The first whole thing in `bytes`: a line, and for a message its payload.
fn frame(bytes: &[u8]) -> Option<Frame> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let whole_line = Frame { length: line + 2, is_message: false };
    // Only a message's line is read; what is not even text is none.
    let Ok(text) = std::str::from_utf8(&bytes[..line]) else { return Some(whole_line) };
    let mut words = text.split_ascii_whitespace();
    let is_message = words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("MSG") || word.eq_ignore_ascii_case("HMSG"));
    let payload = words.next_back().and_then(|word| word.parse::<usize>().ok());
    match payload {
        Some(payload) if is_message => {
            let length = line + 2 + payload + 2;
            (bytes.len() >= length).then_some(Frame { length, is_message })
        }
        _ => Some(whole_line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "INFO {\"server_id\":\"N\"}\r\n";
    const ONE: &str = "MSG log 1 5\r\nfirst\r\n";
    const TWO: &str = "MSG log 1 reply.to 8\r\nse\r\ncond\r\n";
    const THREE: &str = "HMSG log 1 12 17\r\nNATS/1.0\r\n\r\nthird\r\n";

    /// What comes out when what is said arrives in these pieces, and the messages meet these fates.
    fn passed(pieces: &[&[u8]], fates: &[Fate]) -> String {
        let mut fates = fates.iter().copied();
        let mut messages = Messages::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(messages.pass(piece, || fates.next().unwrap_or(Fate::Pass)));
        }
        assert!(messages.partial.is_empty(), "everything was whole");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_faults_everything_passes_unchanged_wherever_it_is_split() {
        let said = [INFO, "+OK\r\n", ONE, "PING\r\n", TWO, THREE, "PONG\r\n"].concat();
        for at in 0..=said.len() {
            let (first, second) = said.as_bytes().split_at(at);
            assert_eq!(passed(&[first, second], &[]), said, "split at {at}");
        }
        let bytes: Vec<&[u8]> = said.as_bytes().chunks(1).collect();
        assert_eq!(passed(&bytes, &[]), said);
    }

    #[test]
    fn messages_are_lost_and_doubled_and_nothing_else_is() {
        let said = [INFO, ONE, "PING\r\n", TWO, THREE].concat();
        let lost = passed(&[said.as_bytes()], &[Fate::Drop, Fate::Pass, Fate::Drop]);
        assert_eq!(lost, [INFO, "PING\r\n", TWO].concat());
        let doubled = passed(&[said.as_bytes()], &[Fate::Pass, Fate::Double]);
        assert_eq!(doubled, [INFO, ONE, "PING\r\n", TWO, TWO, THREE].concat());
    }

    #[test]
    fn a_message_that_is_held_back_comes_after_the_next_one() {
        let said = [ONE, "PING\r\n", TWO, THREE].concat();
        let reordered = passed(&[said.as_bytes()], &[Fate::HoldBack]);
        assert_eq!(reordered, ["PING\r\n", TWO, ONE, THREE].concat());
        // Only one is held at a time, and one that is lost does not let it go.
        let both = passed(&[said.as_bytes()], &[Fate::HoldBack, Fate::HoldBack]);
        assert_eq!(both, ["PING\r\n", TWO, ONE, THREE].concat());
        let lost = passed(&[said.as_bytes()], &[Fate::HoldBack, Fate::Drop]);
        assert_eq!(lost, ["PING\r\n", THREE, ONE].concat());
    }

    #[test]
    fn chances_act_on_connections_under_way() {
        let faults = NatsFaults::new(7);
        let mut change = faults.connection();
        assert_eq!(change(ONE.as_bytes()), ONE.as_bytes());
        faults.set(Chances { drop: 1_000, ..Chances::default() });
        assert_eq!(change(ONE.as_bytes()), b"");
        faults.set(Chances { double: 1_000, ..Chances::default() });
        assert_eq!(change(ONE.as_bytes()), [ONE, ONE].concat().as_bytes());
        assert_eq!(faults.happened(), Happened { dropped: 1, doubled: 1, reordered: 0 });
    }
}
