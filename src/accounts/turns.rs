//! Decides whose password is hashed next. Addresses take turns, so that one with very many tries does not delay others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::Error;
use crate::network::Network;

/// The number of requests of one address that may wait for each password that is being hashed. Further ones are
/// refused.
const MAX_WAITING_PER_ADDRESS: usize = 64;

/// The number of all requests that may wait for each password that is being hashed.
const MAX_WAITING: usize = 1_024;

/// The seconds after which a refused request may try again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The requests of one address that wait, the oldest first.
type Line = VecDeque<oneshot::Sender<Turn>>;

#[derive(Debug)]
struct Queue {
    /// The number of free turns.
    free: usize,
    most_of_address: usize,
    most: usize,
    /// The addresses with a request that waits, the next one first.
    lines: VecDeque<(Network, Line)>,
}

/// Hands out turns, a bounded number at a time.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Mutex<Queue>>);

/// A turn. When it is dropped, the next request has it.
#[derive(Debug)]
pub(super) struct Turn(Turns);

impl Turns {
    pub(super) fn new(at_a_time: usize) -> Self {
        let free = at_a_time.max(1);
        let queue = Queue {
            free,
            most_of_address: free * MAX_WAITING_PER_ADDRESS,
            most: free * MAX_WAITING,
            lines: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(queue)))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many wait, of this address or in all.
    pub(super) async fn take(&self, network: Network) -> Result<Turn, Error> {
        let busy = Error::RateLimited { seconds: RETRY_AFTER_SECONDS };
        let turn = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(Turn(self.clone()));
            }
            queue.join(network).ok_or(busy.clone())?
        };
        // The sender is dropped when this turn is given up for an address that has fewer waiting. Its error says no
        // more.
        turn.await.map_err(|_| busy)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn join(&mut self, network: Network) -> Option<oneshot::Receiver<Turn>> {
        let waiting = self.lines.iter().map(|(_, line)| line.len()).sum::<usize>();
        if waiting >= self.most {
            self.forget_the_gone();
        }
        let own = self.lines.iter().position(|(other, _)| *other == network);
        let own_waiting = own.map_or(0, |own| {
            let line = &mut self.lines[own].1;
            line.retain(|waiter| !waiter.is_closed());
            line.len()
        });
        if own_waiting >= self.most_of_address {
            return None;
        }
        if self.lines.iter().map(|(_, line)| line.len()).sum::<usize>() >= self.most {
            let longest = self.lines.iter_mut().max_by_key(|(_, line)| line.len())?;
            if longest.1.len() <= own_waiting + 1 {
                return None;
            }
            longest.1.pop_back();
        }
        let (waiter, turn) = oneshot::channel();
        match own {
            Some(own) => self.lines[own].1.push_back(waiter),
            None => self.lines.push_back((network, Line::from([waiter]))),
        }
        Some(turn)
    }

    fn forget_the_gone(&mut self) {
        for (_, line) in &mut self.lines {
            line.retain(|waiter| !waiter.is_closed());
        }
        self.lines.retain(|(_, line)| !line.is_empty());
    }

    /// Takes the next request. Its address then goes behind all others.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some((network, mut line)) = self.lines.pop_front() {
            while let Some(waiter) = line.pop_front() {
                if waiter.is_closed() {
                    continue;
                }
                if !line.is_empty() {
                    self.lines.push_back((network, line));
                }
                return Some(waiter);
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.queue();
            let next = queue.next();
            queue.free += usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            // If this request was dropped just now, the turn is dropped too, and goes to the next request.
            let _ = next.send(Turn(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn network(last: u8) -> Network {
        Network::of([192, 0, 2, last].into())
    }

    /// Waits for a turn, as far as having joined the queue.
    fn wait(
        turns: &Turns,
        last: u8,
    ) -> std::pin::Pin<Box<impl Future<Output = Result<Turn, Error>> + use<>>> {
        let turns = turns.clone();
        let mut waiting = Box::pin(async move { turns.take(network(last)).await });
        assert!(waiting.as_mut().now_or_never().is_none());
        waiting
    }

    #[test]
    fn addresses_take_turns() {
        let turns = Turns::new(1);
        let first = turns.take(network(1)).now_or_never().unwrap().unwrap();
        let mut many: VecDeque<_> = (0..50).map(|_| wait(&turns, 1)).collect();
        let mut other = wait(&turns, 2);
        drop(first);
        let second =
            many.pop_front().unwrap().now_or_never().expect("the next of the first address").unwrap();
        assert!(other.as_mut().now_or_never().is_none());
        drop(second);
        let third = other.now_or_never().expect("the other address, before the rest").unwrap();
        // Those who went away meanwhile are passed over.
        many.truncate(1);
        drop(third);
        let fourth = many.pop_front().unwrap().now_or_never().expect("the last one that waits").unwrap();
        drop(fourth);
        assert!(turns.take(network(3)).now_or_never().unwrap().is_ok());
    }

    #[test]
    fn an_address_has_so_many_waiting_and_is_told_to_come_back() {
        let turns = Turns::new(1);
        let _busy = turns.take(network(1)).now_or_never().unwrap().unwrap();
        let _waiting: Vec<_> = (0..MAX_WAITING_PER_ADDRESS).map(|_| wait(&turns, 1)).collect();
        let refused = turns.take(network(1)).now_or_never().expect("an answer at once");
        assert_eq!(refused.err(), Some(Error::RateLimited { seconds: RETRY_AFTER_SECONDS }));
        assert!(turns.take(network(2)).now_or_never().is_none(), "another address waits");
    }

    #[test]
    fn whoever_comes_alone_takes_the_place_of_one_of_many() {
        let turns = Turns::new(1);
        let _busy = turns.take(network(0)).now_or_never().unwrap().unwrap();
        let addresses = u8::try_from(MAX_WAITING / MAX_WAITING_PER_ADDRESS).unwrap();
        let mut many: Vec<_> = (0..addresses)
            .flat_map(|last| (0..MAX_WAITING_PER_ADDRESS).map(move |_| last))
            .map(|last| wait(&turns, last))
            .collect();
        let mut alone = wait(&turns, addresses);
        assert!(alone.as_mut().now_or_never().is_none(), "it waits");
        let gone = many.iter_mut().filter_map(|waiting| waiting.as_mut().now_or_never()).count();
        assert_eq!(gone, 1);
    }
}
