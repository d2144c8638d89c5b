//! The scalar for instants.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use crate::messaging::Timestamp;

/// An instant as the schema shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DateTime(pub(crate) Timestamp);

/// An instant, RFC 3339 in UTC with six digits of a second, such as `2026-11-24T06:30:00.000000Z`. The times of events
/// strictly increase with the log, whatever the clocks do. So sorting them as text gives the order of the log.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => match text.parse::<jiff::Timestamp>() {
                Ok(instant) => Ok(Self(Timestamp(instant.as_microsecond()))),
                Err(error) => Err(InputValueError::custom(error)),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        // A time outside of the calendar can only come from a broken clock. It is shown as 1970-01-01.
        let instant = jiff::Timestamp::from_microsecond(self.0.0).unwrap_or_default();
        Value::String(format!("{instant:.6}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_to_the_microsecond() {
        assert_eq!(DateTime(Timestamp(0)).to_value(), Value::from("1970-01-01T00:00:00.000000Z"));
        let some = DateTime(Timestamp(1_795_501_800_120_000));
        assert_eq!(some.to_value(), Value::from("2026-11-24T06:30:00.120000Z"));
    }
}
