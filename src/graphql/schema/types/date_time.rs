//! The scalar for instants.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use jiff::Timestamp as Instant;

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
            Value::String(text) => read(text).map(Self).ok_or_else(|| {
                InputValueError::custom(
                    "it must be an instant of RFC 3339 in the years 0001 to 9999, such as 2026-11-24T06:30:00Z",
                )
            }),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        let instant = Instant::from_microsecond(self.0.0);
        // Only a broken clock has a time outside of the calendar.
        let instant = instant.unwrap_or(if self.0.0 < 0 { EARLIEST } else { LATEST });
        Value::String(format!("{instant:.6}"))
    }
}

/// The first instant whose year has four digits and is not 0.
const EARLIEST: Instant = Instant::constant(-62_135_596_800, 0);

/// The latest instant that herald can write. A client that means "for ever" may name a later one, which counts as this.
const LATEST: Instant = Instant::constant(253_402_207_200, 0);

/// The instant in a text of RFC 3339. `None` if it is none, or not in the years 0001 to 9999.
fn read(text: &str) -> Option<Timestamp> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = (clock.get(..8)?, clock.get(8..)?);
    let is_fraction = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let has_form = has_form(date, "0000-00-00")
        && has_form(clock, "00:00:00")
        && (fraction.is_empty() || fraction.strip_prefix('.').is_some_and(is_fraction))
        && (zone.eq_ignore_ascii_case("z") || has_form(zone.get(1..)?, "00:00"));
    if !has_form {
        return None;
    }
    // The library reads nine digits of a second, and herald keeps six.
    let fraction = fraction.get(..10).unwrap_or(fraction);
    let parse = |date: &str| format!("{date}T{clock}{fraction}{zone}").parse::<Instant>();
    match parse(date) {
        Ok(instant) => (instant >= EARLIEST).then(|| Timestamp(instant.min(LATEST).as_microsecond())),
        // The library goes no further than the latest instant. In another year, it would be one.
        Err(_) if date.starts_with("9999-12-") && parse(&date.replacen("9999", "9998", 1)).is_ok() => {
            Some(Timestamp(LATEST.as_microsecond()))
        }
        Err(_) => None,
    }
}

/// Whether a text has digits where the pattern has them, and the same characters elsewhere.
fn has_form(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, wanted)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted })
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

    #[test]
    fn what_is_read_is_rfc_3339() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t01:00:00.5+01:00", 500_000),
            ("1970-01-01 00:00:01z", 1_000_000),
            ("9999-12-31T23:59:59Z", LATEST.as_microsecond()),
            ("9999-12-31T23:59:59.9999999Z", LATEST.as_microsecond()),
            ("9999-12-30T22:00:00.000001Z", LATEST.as_microsecond()),
            ("9999-12-30T22:00:00Z", LATEST.as_microsecond()),
            ("9999-12-30T21:59:59Z", LATEST.as_microsecond() - 1_000_000),
            ("9999-12-30T00:00:00+02:00", LATEST.as_microsecond() - 24 * 3_600_000_000),
            ("1970-01-01T00:00:00.1234567890123Z", 123_456),
        ] {
            assert_eq!(read(text), Some(Timestamp(micros)), "{text}");
        }
        for text in [
            "",
            "now",
            "2030-01-01",
            "2030-01-01T00:00Z",
            "2030-01-01T00Z",
            "2030-01-01T00:00:00",
            "2030-01-01T00:00:00,5Z",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00+05",
            "2030-01-01T00:00:00Z[America/New_York]",
            "20300101T000000Z",
            "2030-02-30T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "9999-12-32T00:00:00Z",
            "9999-12-31T00:00:00+99:99",
            "0001-01-01T00:00:00+01:00",
            "-000001-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "+012026-01-01T00:00:00Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_read_is_written_again() {
        for text in ["0001-01-01T00:00:00.000000Z", "9999-12-29T23:59:59.999999Z"] {
            assert_eq!(DateTime(read(text).unwrap()).to_value(), Value::from(text));
        }
        assert_eq!(DateTime(Timestamp(i64::MAX)).to_value(), Value::from("9999-12-30T22:00:00.000000Z"));
    }
}
