//! The cursor: a place in the log, in a form that only herald reads.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::log::{Epoch, Head};
use crate::messaging::Position;

/// Bytes of the check that tells a mangled cursor from one of another epoch.
const CHECK: usize = 4;

/// A place in the log as clients hold it.
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
    pub(crate) fn new(Head { epoch, position }: Head) -> Self {
        let mut bytes = [0; 16 + CHECK];
        bytes[..8].copy_from_slice(&epoch.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&position.0.to_be_bytes());
        let check = check(&bytes[..16]);
        bytes[16..].copy_from_slice(&check);
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a client says is a cursor. Whether it is, [`Self::position`] tells.
    pub(crate) fn claimed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text that clients hold.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The place that a client's cursor names in a log of this epoch.
    pub(crate) fn position(&self, epoch: Epoch) -> Result<Position, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| Error::CursorInvalid)?;
        let bytes: [u8; 16 + CHECK] = bytes.try_into().map_err(|_| Error::CursorInvalid)?;
        let number = |at: usize| i64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
        let (given, position) = (Epoch(number(0)), Position(number(8)));
        if bytes[16..] != check(&bytes[..16]) || position < Position::START {
            return Err(Error::CursorInvalid);
        }
        if given == epoch { Ok(position) } else { Err(Error::CursorExpired) }
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let digest = Sha256::new().chain_update(b"herald cursor").chain_update(bytes).finalize();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_in_its_own_epoch_only_and_shows_every_change_of_a_letter() {
        let cursor = Cursor::new(Head { epoch: Epoch(-7), position: Position(42) });
        assert_eq!(cursor.position(Epoch(-7)), Ok(Position(42)));
        assert_eq!(cursor.position(Epoch(8)), Err(Error::CursorExpired));
        for index in 0..cursor.0.len() {
            let mut letters: Vec<char> = cursor.0.chars().collect();
            letters[index] = if letters[index] == 'A' { 'B' } else { 'A' };
            let mangled = Cursor(letters.into_iter().collect());
            assert_eq!(mangled.position(Epoch(-7)), Err(Error::CursorInvalid), "letter {index}");
        }
        assert_eq!(Cursor(String::new()).position(Epoch(-7)), Err(Error::CursorInvalid));
    }
}
