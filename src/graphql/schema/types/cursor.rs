//! The scalar for a place in the log, in a form that only herald reads.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::messaging::{Chain, Epoch, Place, Position};

/// Bytes of the checksum. It tells a damaged cursor from a cursor of another epoch.
const CHECKSUM_BYTES: usize = 4;

/// Bytes of a cursor: epoch, position, chain, checksum.
const CURSOR_BYTES: usize = 3 * 8 + CHECKSUM_BYTES;

/// A place in the log as opaque text, which may come from a client and be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor(String);

/// An opaque place in the event log. Pass one to a subscription's `after` to receive everything that
/// happened since, in order, with nothing missing and nothing repeated.
#[Scalar]
impl ScalarType for Cursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

impl Cursor {
    /// The cursor of a place.
    pub(crate) fn new(Place { epoch, position, chain }: Place) -> Self {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        for number in [epoch.0, position.0, chain.0] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(checksum(&bytes));
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// A cursor from a client. [`Self::place`] checks it.
    pub(crate) fn claimed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The opaque text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The place that the cursor names. The caller must check that the log has this place.
    ///
    /// # Errors
    /// [`Error::CursorInvalid`] when herald did not make this cursor.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| Error::CursorInvalid)?;
        let (numbers, given) =
            bytes.split_at_checked(bytes.len().wrapping_sub(CHECKSUM_BYTES)).ok_or(Error::CursorInvalid)?;
        let number = |at: usize| {
            let number = numbers.get(8 * at..8 * (at + 1))?.try_into().ok()?;
            Some(i64::from_be_bytes(number))
        };
        let (epoch, position) = number(0).zip(number(1)).ok_or(Error::CursorInvalid)?;
        // Cursors of earlier versions have no chain, like the events of those versions.
        let chain =
            if bytes.len() == CURSOR_BYTES { number(2).map_or(Chain::START, Chain) } else { Chain::START };
        let is_whole = [CURSOR_BYTES, CURSOR_BYTES - 8].contains(&bytes.len()) && given == checksum(numbers);
        if !is_whole || position < Position::START.0 {
            return Err(Error::CursorInvalid);
        }
        Ok(Place { epoch: Epoch(epoch), position: Position(position), chain })
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(b"herald cursor").chain_update(bytes).finalize();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_its_place_and_a_changed_letter_makes_it_invalid() {
        let place = Place { epoch: Epoch(-7), position: Position(42), chain: Chain(-3) };
        let cursor = Cursor::new(place);
        assert_eq!(cursor.place(), Ok(place));
        for index in 0..cursor.0.len() {
            let mut letters: Vec<char> = cursor.0.chars().collect();
            letters[index] = if letters[index] == 'A' { 'B' } else { 'A' };
            let damaged = Cursor(letters.into_iter().collect());
            assert_eq!(damaged.place(), Err(Error::CursorInvalid), "letter {index}");
            let cut = Cursor(cursor.0[..index].to_owned());
            assert_eq!(cut.place(), Err(Error::CursorInvalid), "cut at {index}");
        }
        assert_eq!(Cursor(String::new()).place(), Err(Error::CursorInvalid));
    }

    #[test]
    fn a_cursor_without_a_chain_names_a_place_without_a_chain() {
        let mut bytes: Vec<u8> = [-7_i64, 42].into_iter().flat_map(i64::to_be_bytes).collect();
        bytes.extend(checksum(&bytes));
        let place = Place { epoch: Epoch(-7), position: Position(42), chain: Chain::START };
        assert_eq!(Cursor(URL_SAFE_NO_PAD.encode(bytes)).place(), Ok(place));
    }
}
