//! Durations as Go writes them: `1h30m`, `5m0s`, `300ms`, `1.5h`, `0`.

use std::time::Duration;

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is no duration; write for example 30s, 5m or 1h30m")]
pub struct InvalidDuration {
    /// The refused text.
    pub given: String,
}

/// Reads a duration that may be negative: the sign, and the size.
///
/// # Errors
/// [`InvalidDuration`] when the text has no unit, another unit, or is out of range.
pub fn parse(text: &str) -> Result<(bool, Duration), InvalidDuration> {
    let refuse = || InvalidDuration {
        given: text.to_owned(),
    };
    let (is_negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok((false, Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(refuse());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(refuse)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let part = scaled(number, unit_nanos(unit).ok_or_else(refuse)?).ok_or_else(refuse)?;
        nanos = nanos.checked_add(part).ok_or_else(refuse)?;
        rest = tail;
    }
    // The range of Go's type, about 292 years.
    let nanos = i64::try_from(nanos).map_err(|_| refuse())?;
    Ok((
        is_negative && nanos != 0,
        Duration::from_nanos(nanos.unsigned_abs()),
    ))
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(number: &str, unit_nanos: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(unit_nanos)?;
    let mut place_nanos = unit_nanos;
    for digit in fraction.bytes() {
        place_nanos /= 10;
        nanos = nanos.checked_add(u128::from(digit - b'0') * place_nanos)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("0", ms(0)),
            ("0s", ms(0)),
            ("5m0s", ms(300_000)),
            ("1h30m", ms(5_400_000)),
            ("300ms", ms(300)),
            ("1.5h", ms(5_400_000)),
            (".5s", ms(500)),
            ("+2s", ms(2000)),
            ("3us", Duration::from_micros(3)),
            ("1.123456789s", Duration::from_nanos(1_123_456_789)),
        ] {
            assert_eq!(parse(text), Ok((false, expected)), "{text}");
        }
        assert_eq!(parse("-1s"), Ok((true, ms(1000))));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "-",
            "5",
            "5 m",
            "m",
            "1d",
            "1.2.3s",
            ".s",
            "s5",
            "5m3",
            "300y",
            "99999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
