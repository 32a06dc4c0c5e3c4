//! An instant, in microseconds since 1970-01-01T00:00:00Z.
//!
//! **Invariant:** nothing in here reads a clock.
//!
//! # Source
//!
//! RFC 3339 for the text. A leap second (`:60`) reads as the second before it.

use std::fmt;
use std::ops::Range;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant, in microseconds since the Unix epoch, from [`Time::MIN`] to [`Time::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Why a text is not an instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a time such as 2026-11-20T09:46:08.123456Z, from the year 1 to 9999-12-30")]
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
        if let Some(time) = usual(text.as_bytes()) {
            return Ok(time);
        }
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
        String::from_utf8_lossy(&self.digits()).into_owned()
    }

    /// UTC with as few digits of the fraction as say it exactly, in steps of three:
    /// `2026-11-20T09:46:08Z`, `…08.123Z`, `…08.123456Z`.
    #[must_use]
    pub fn format_short(self) -> String {
        let mut text = self.format();
        if self.0 % 1_000_000 == 0 {
            text.replace_range(19..26, "");
        } else if self.0 % 1_000 == 0 {
            text.replace_range(23..26, "");
        }
        text
    }

    /// Appends what [`Time::format`] gives.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.digits());
    }

    fn digits(self) -> [u8; 27] {
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let us = self.0.abs_diff(Time::MIN.0);
        let (days, us_of_day) = (us / DAY_US, us % DAY_US);
        let (year, month, day) = date(days);
        let s = us_of_day / 1_000_000;
        let [y, m, d, hour, minute, second, fraction] = FIELDS;
        for (field, number) in [
            (y, year),
            (m, month),
            (d, day),
            (hour, s / 3_600),
            (minute, s / 60 % 60),
            (second, s % 60),
            (fraction, us_of_day % 1_000_000),
        ] {
            let mut number = number;
            for digit in text.get_mut(field).unwrap_or_default().iter_mut().rev() {
                let [low, ..] = (number % 10).to_le_bytes();
                *digit = b'0' + low;
                number /= 10;
            }
        }
        text
    }
}

/// Where the year, month, day, hour, minute, second and fraction lie in a time's text.
const FIELDS: [Range<usize>; 7] = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..26];
const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;
/// From 0000-03-01, where years of 400 begin that have their leap day at the end, to [`Time::MIN`].
const DAYS_BEFORE: u64 = 306;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// The instant of a text in the shape that nearly all have: UTC, with no fraction or one of up to nine
/// digits, and no leap second. Of another shape, or out of bounds, there is none.
fn usual(text: &[u8]) -> Option<Time> {
    let number = |field: &Range<usize>| {
        text.get(field.clone())?.iter().try_fold(0_u64, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then(|| 10 * number + u64::from(digit))
        })
    };
    let (last, text_before) = text.split_last()?;
    let signs = [4, 7, 10, 13, 16].map(|at| text.get(at).copied().unwrap_or_default());
    if *last != b'Z' || signs != *b"--T::" {
        return None;
    }
    let [year, month, day, hour, minute, second, _] = FIELDS;
    let (year, month, day) = (number(&year)?, number(&month)?, number(&day)?);
    let (hour, minute, second) = (number(&hour)?, number(&minute)?, number(&second)?);
    let us = match text_before.get(19..)?.split_first() {
        None => 0,
        Some((b'.', digits)) if (1..=9).contains(&digits.len()) => {
            let missing = u32::try_from(9 - digits.len()).ok()?;
            number(&(20..20 + digits.len()))? * 10_u64.pow(missing) / 1_000
        }
        Some(_) => return None,
    };
    if hour > 23 || minute > 59 || second > 59 || year == 0 {
        return None;
    }
    let days = days(year, month, day);
    // A day that the month doesn't have would be one of the next.
    if date(days) != (year, month, day) {
        return None;
    }
    let us = days * DAY_US + ((hour * 60 + minute) * 60 + second) * 1_000_000 + us;
    let time = Time(Time::MIN.0.checked_add_unsigned(us)?);
    (time <= Time::MAX).then_some(time)
}

/// The days from 0001-01-01 to a date. A month that is none gives some number.
///
/// Years begin in March here, so that a leap day is the last of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day;
    let of_400 = year % 400;
    let day = of_400 * 365 + of_400 / 4 - of_400 / 100 + day_of_year;
    (year / 400 * DAYS_OF_400_YEARS + day).saturating_sub(1 + DAYS_BEFORE)
}

/// The date that so many days after 0001-01-01 have.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE;
    let day = days % DAYS_OF_400_YEARS;
    let of_400 = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * of_400 + of_400 / 4 - of_400 / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = days / DAYS_OF_400_YEARS * 400 + of_400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.format())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

/// Reads a time from a text.
struct Text;

impl Visitor<'_> for Text {
    type Value = Time;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
        Time::parse(text).map_err(|error| E::custom(format_args!("{text:?} {error}")))
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
    fn every_day_of_four_hundred_years_has_its_date() {
        let first = jiff::civil::date(1, 1, 1);
        let dates = first.series(jiff::Span::new().days(1)).take(150_000);
        for (number, expect) in (0..).zip(dates) {
            let expect = [expect.year().into(), expect.month().into(), i64::from(expect.day())];
            let (year, month, day) = date(number);
            assert_eq!([year, month, day].map(|part| i64::try_from(part).expect("small")), expect);
            assert_eq!(days(year, month, day), number);
        }
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

        #[test]
        fn times_are_written_as_an_independent_writer_does(us in Time::MIN.us()..=Time::MAX.us(), zeros in 0_u32..7) {
            let us = us - us % 10_i64.pow(zeros);
            let theirs = jiff::Timestamp::from_microsecond(us).expect("in bounds");
            prop_assert_eq!(Time::from_us(us).format(), format!("{theirs:.6}"));
            let digits = if us % 1_000_000 == 0 { 0 } else if us % 1_000 == 0 { 3 } else { 6 };
            prop_assert_eq!(Time::from_us(us).format_short(), format!("{theirs:.digits$}"));
        }

        #[test]
        fn times_are_read_as_an_independent_reader_does(
            date in (0_u32..10_000, 0_u32..14, 0_u32..33),
            time in (0_u32..25, 0_u32..61, 0_u32..61),
            fraction in "|\\.|\\.[0-9]{1,10}|,5|x",
            end in "Z|z|\\+01:00|",
        ) {
            let ((year, month, day), (hour, minute, second)) = (date, time);
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{end}");
            let theirs = text.parse::<jiff::Timestamp>().ok();
            let theirs = theirs.and_then(|time| i64::try_from(time.as_nanosecond().div_euclid(1_000)).ok());
            let theirs = theirs.filter(|us| (Time::MIN.us()..=Time::MAX.us()).contains(us)).map(Time);
            prop_assert_eq!(Time::parse(&text).ok(), theirs, "{}", text);
            if let Some(usual) = usual(text.as_bytes()) {
                prop_assert_eq!(Some(usual), theirs, "{}", text);
            }
        }
    }
}
