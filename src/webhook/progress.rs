//! Up to where a webhook has no open calls: everything before is accepted, or is stored as a call that waits.

use std::collections::VecDeque;

use crate::messaging::{Place, Position};

/// The places that were told, in the order of the log, from the first whose call is open on.
#[derive(Debug)]
pub(super) struct Progress {
    /// Nothing up to here is open.
    place: Place,
    told: VecDeque<(Place, bool)>,
}

impl Progress {
    pub(super) fn new(place: Place) -> Self {
        Self { place, told: VecDeque::new() }
    }

    /// The place up to which nothing is open.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// How many places are remembered.
    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    /// Notes a place, in the order of the log. It is open until it is settled.
    pub(super) fn open(&mut self, place: Place) {
        self.told.push_back((place, false));
    }

    /// Notes a place about which there is nothing to call.
    pub(super) fn pass(&mut self, place: Place) {
        self.told.push_back((place, true));
        self.advance();
    }

    /// Notes that the call about a position is accepted or stored.
    pub(super) fn settle(&mut self, position: Position) {
        if let Some((_, settled)) = self.told.iter_mut().find(|(place, _)| place.position == position) {
            *settled = true;
        }
        self.advance();
    }

    fn advance(&mut self) {
        while let Some((place, _)) = self.told.pop_front_if(|(_, settled)| *settled) {
            self.place = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::{Chain, Epoch};

    #[test]
    fn the_place_moves_on_when_everything_before_is_settled() {
        let at = |position| Place { epoch: Epoch(1), position: Position(position), chain: Chain(position) };
        let mut progress = Progress::new(at(3));
        progress.pass(at(4));
        assert_eq!(progress.place(), at(4));
        for position in 5..=7 {
            progress.open(at(position));
        }
        progress.pass(at(8));
        progress.settle(Position(6));
        assert_eq!((progress.place(), progress.len()), (at(4), 4));
        progress.settle(Position(5));
        assert_eq!(progress.place(), at(6));
        progress.settle(Position(7));
        assert_eq!((progress.place(), progress.len()), (at(8), 0));
    }
}
