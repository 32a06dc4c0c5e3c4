//! The time that an id carries.
//!
//! # Source
//!
//! RFC 9562, §5.7 (UUID version 7) and §4 (its text: hexadecimal digits of either case, in groups of 8, 4, 4,
//! 4 and 12); the ULID specification (github.com/ulid/spec): 26 digits of Crockford's Base32, of either case,
//! the first at most 7, the first ten of which are the time.
//!
//! # Incomplete support
//!
//! UUIDs without hyphens, in braces or as URNs carry none here: one in 64 strings of 32 random hexadecimal
//! digits looks like version 7.

/// The milliseconds since 1970 that an id carries, if it is a UUID of version 7 or a ULID.
pub(crate) fn time_of(id: &str) -> Option<u64> {
    match id.len() {
        36 => uuid(id.as_bytes()),
        26 => ulid(id.as_bytes()),
        _ => None,
    }
}

fn uuid(id: &[u8]) -> Option<u64> {
    let mut time = 0;
    for (at, byte) in id.iter().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(*byte).to_digit(16)?;
        let fits = match at {
            14 => digit == 7,
            19 => digit >> 2 == 0b10,
            _ => true,
        };
        if !fits {
            return None;
        }
        // 48 bits: the first eight digits and the four of the second group.
        if at < 13 {
            time = time << 4 | u64::from(digit);
        }
    }
    Some(time)
}

fn ulid(id: &[u8]) -> Option<u64> {
    let mut time = 0;
    for (at, byte) in id.iter().enumerate() {
        let digit = crockford(byte.to_ascii_uppercase())?;
        if at == 0 && digit > 7 {
            return None;
        }
        if at < 10 {
            time = time << 5 | digit;
        }
    }
    Some(time)
}

fn crockford(byte: u8) -> Option<u64> {
    let at = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".iter().position(|digit| *digit == byte)?;
    u64::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, expect: Option<u64>) {
        assert_eq!(time_of(id), expect, "{id}");
    }

    #[test]
    fn an_id_carries_its_time_if_it_is_a_uuid_7_or_a_ulid() {
        // The example of RFC 9562, appendix A.6: 2022-02-22, 19:22:22 UTC.
        check("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", Some(1_645_557_742_000));
        check("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", Some(1_645_557_742_000));
        check("017f22e2-79b0-4cc3-98c4-dc0c0c07398f", None);
        check("017f22e2-79b0-7cc3-c8c4-dc0c0c07398f", None);
        check("017f22e279b0-7cc3-98c4-dc0c0c07398f-", None);
        check("017f22e279b07cc398c4dc0c0c07398f", None);
        check("017f22e2-79b0-7cc3-98c4-dc0c0c07398g", None);
        // The example of the ULID specification.
        check("01ARZ3NDEKTSV4RRFFQ69G5FAV", Some(1_469_922_850_259));
        check("01arz3ndektsv4rrffq69g5fav", Some(1_469_922_850_259));
        check("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", Some((1 << 48) - 1));
        check("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", None);
        check("01ARZ3NDEKTSV4RRFFQ69G5FAU", None);
        check("evt-1", None);
        check("", None);
    }
}
