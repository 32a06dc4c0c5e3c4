//! An instant, in microseconds since 1970-01-01T00:00:00Z.
//!
//! **Invariant:** nothing in here reads a clock.
//!
//! # Source
//!
//! RFC 3339 for the text. A leap second (`:60`) reads as the second before it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant, in microseconds since the Unix epoch, from [`Time::MIN`] to [`Time::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Why a text is not an instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a time such as 2026-11-20T09:46:08.123456Z")]
pub struct TimeError;

impl Time {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Time = Time(-62_135_596_800_000_000);
    /// 9999-12-30T22:00:00Z, the last that has a name in every time zone.
    pub const MAX: Time = Time(253_402_207_200_000_000);

    /// The instant so many microseconds after the epoch, held within [`Time::MIN`] and
    /// [`Time::MAX`].
    #[must_use]
    pub fn from_us(us: i64) -> Time {
        Time(us.clamp(Time::MIN.0, Time::MAX.0))
    }

    /// The instant so many milliseconds after the epoch, held within the same bounds.
    #[must_use]
    pub fn from_ms(ms: i64) -> Time {
        Time::from_us(ms.saturating_mul(1_000))
    }

    /// The instant so many seconds after the epoch, held within the same bounds.
    #[must_use]
    pub fn from_s(s: i64) -> Time {
        Time::from_us(s.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn us(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, floored.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch, floored.
    #[must_use]
    pub fn s(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The instant `us` microseconds later, held within the bounds.
    #[must_use]
    pub fn plus_us(self, us: i64) -> Time {
        Time::from_us(self.0.saturating_add(us))
    }

    /// Reads an RFC 3339 text with an offset; digits beyond microseconds are cut off.
    ///
    /// # Errors
    ///
    /// [`TimeError`] if the text is no such time, or lies outside the bounds.
    pub fn parse(text: &str) -> Result<Time, TimeError> {
        // What RFC 3339 has in common with wider formats: a date, a `T`, a time, an offset.
        let separator = text.as_bytes().get(10).copied();
        if !matches!(separator, Some(b'T' | b't' | b' ')) || text.contains('[') {
            return Err(TimeError);
        }
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| TimeError)?;
        let us = i64::try_from(timestamp.as_nanosecond().div_euclid(1_000)).map_err(|_| TimeError)?;
        let time = Time(us);
        if (Time::MIN..=Time::MAX).contains(&time) { Ok(time) } else { Err(TimeError) }
    }

    /// UTC with six digits: `2026-11-20T09:46:08.123456Z`.
    #[must_use]
    pub fn format(self) -> String {
        self.print(6)
    }

    /// UTC with as few digits of the fraction as say it exactly, in steps of three:
    /// `2026-11-20T09:46:08Z`, `…08.123Z`, `…08.123456Z`.
    #[must_use]
    pub fn format_short(self) -> String {
        if self.0 % 1_000_000 == 0 {
            self.print(0)
        } else if self.0 % 1_000 == 0 {
            self.print(3)
        } else {
            self.print(6)
        }
    }

    fn print(self, digits: u8) -> String {
        let mut text = String::with_capacity(27);
        // The bounds of `Time` lie within jiff's, so the fallback is never taken.
        let timestamp = jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let printer = jiff::fmt::temporal::DateTimePrinter::new().precision(Some(digits));
        // Writing into a String can't fail.
        let _ = printer.print_timestamp(&timestamp, &mut text);
        text
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.format())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        Time::parse(&text).map_err(|error| serde::de::Error::custom(format_args!("{text:?} {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: Option<&str>) {
        let got = Time::parse(text).ok().map(Time::format);
        assert_eq!(got.as_deref(), expect, "{text}");
    }

    #[test]
    fn a_time_is_read_in_any_zone_and_shown_in_utc_with_six_digits() {
        check("2026-11-20T09:46:08.123456Z", Some("2026-11-20T09:46:08.123456Z"));
        check("2026-11-20T09:46:08Z", Some("2026-11-20T09:46:08.000000Z"));
        check("2026-11-20T10:46:08.5+01:00", Some("2026-11-20T09:46:08.500000Z"));
        check("2026-11-20T09:46:08.1234567899Z", None);
        check("2026-11-20T09:46:08.123456789Z", Some("2026-11-20T09:46:08.123456Z"));
        check("1969-12-31T23:59:59.999999999Z", Some("1969-12-31T23:59:59.999999Z"));
        check("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00.000000Z"));
        check("9999-12-30T22:00:00.000000Z", Some("9999-12-30T22:00:00.000000Z"));
    }

    #[test]
    fn what_is_no_time_with_an_offset_is_refused() {
        for text in [
            "",
            "now",
            "2026-11-20",
            "2026-11-20T09:46:08",
            "20261120T094608Z",
            "2026-13-01T00:00:00Z",
            "-000001-01-01T00:00:00Z",
            "0000-12-31T23:59:59Z",
            "2026-11-20T09:46:08Z[UTC]",
            "1763632000",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn the_short_form_drops_what_is_zero() {
        for (us, expect) in
            [(0, "1970-01-01T00:00:00Z"), (1_000, "1970-01-01T00:00:00.001Z"), (1, "1970-01-01T00:00:00.000001Z")]
        {
            assert_eq!(Time::from_us(us).format_short(), expect);
        }
    }

    proptest! {
        #[test]
        fn every_time_survives_its_text(us in Time::MIN.us()..=Time::MAX.us()) {
            let time = Time::from_us(us);
            prop_assert_eq!(Time::parse(&time.format()), Ok(time));
            prop_assert_eq!(Time::parse(&time.format_short()), Ok(time));
        }
    }
}
