//! Durations as the original writes and reads them: `720h`, `1h30m`, `10ms`.

use std::time::Duration;

/// Reads `720h`, `1h30m`, `1.5h`, `300ms`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || format!("invalid duration '{text}': such as 720h, 90m or 1h30m is expected");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_ends = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(refuse)?;
        let (number, tail) = rest.split_at(number_ends);
        let unit_ends = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_ends);
        let unit_s = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(refuse()),
        };
        let number: f64 = number.parse().map_err(|_| refuse())?;
        let part = Duration::try_from_secs_f64(number * unit_s).map_err(|_| refuse())?;
        total = total.checked_add(part).ok_or_else(refuse)?;
        rest = tail;
    }
    if total.is_zero() {
        Err(refuse())
    } else {
        Ok(total)
    }
}

/// `10ms`, `1.25s`, in whole milliseconds.
pub(crate) fn in_milliseconds(duration: Duration) -> String {
    let ms = duration.as_micros().div_ceil(1000).max(1);
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `4.605ms`, `157µs`, `1.2s`: three digits behind the point at most.
pub(crate) fn in_fractions(duration: Duration) -> String {
    let ns = duration.as_nanos();
    let (unit_ns, unit) = match ns {
        0..1_000 => return format!("{ns}ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let thousandths = ns * 1000 / unit_ns;
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `3 days 4 hours`, `4 hours`, `5 minutes`, `9 seconds`.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if days > 0 => format!("{days} days {} hours", hours % 24),
        () if hours > 0 => format!("{hours} hours"),
        () if minutes > 0 => format!("{minutes} minutes"),
        () => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse("720h"), Ok(Duration::from_secs(720 * 3600)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("1.5h"), Ok(Duration::from_secs(5400)));
        for bad in ["", "h", "10", "1d", "0h", "-1h", "1h x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(in_milliseconds(Duration::from_micros(9_400)), "10ms");
        assert_eq!(in_milliseconds(Duration::from_millis(1_250)), "1.25s");
        assert_eq!(in_milliseconds(Duration::from_secs(2)), "2s");
        assert_eq!(in_fractions(Duration::from_nanos(4_605_000)), "4.605ms");
        assert_eq!(in_fractions(Duration::from_nanos(157_000)), "157µs");
        assert_eq!(in_fractions(Duration::from_nanos(9)), "9ns");
        assert_eq!(in_fractions(Duration::from_millis(61_200)), "61.2s");
        assert_eq!(in_words(Duration::from_secs(9)), "9 seconds");
        assert_eq!(in_words(Duration::from_secs(60)), "1 minutes");
        assert_eq!(
            in_words(Duration::from_secs(2 * 86_400 + 3 * 3600 + 7)),
            "2 days 3 hours"
        );
    }
}
