//! Configuration files, and the durations in them.

use std::time::Duration;

use strongroom_kes_server::{Config, duration};

fn environment(name: &str) -> Option<String> {
    match name {
        "EMPTY" => Some(String::new()),
        "NAME" => Some("a-name".to_owned()),
        "HASH" => {
            Some("2a7c5badadeab361c98472146beed2d5e7c058e4d32ee66d0b76a701234dd1b3".to_owned())
        }
        _ => None,
    }
}

/// Any text as a configuration file: refused or read, and alike each time.
pub fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let first = Config::parse(text, &environment);
    let second = Config::parse(text, &environment);
    match (first, second) {
        (Ok((first, _)), Ok((second, _))) => {
            assert_eq!(format!("{first:?}"), format!("{second:?}"));
        }
        (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
        _ => panic!("read once and refused once"),
    }
}

/// Any text as a duration. What reads is in Go's range, and its sign is its first character.
pub fn read_duration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok((is_negative, size)) = duration::parse(text) else {
        return;
    };
    assert!(size <= Duration::from_nanos(i64::MAX.unsigned_abs()));
    assert!(!is_negative || text.starts_with('-'));
    let nanos = format!("{}ns", size.as_nanos());
    assert_eq!(duration::parse(&nanos), Ok((false, size)));
    if !text.starts_with(['-', '+']) {
        let is_zero = size.is_zero();
        assert_eq!(duration::parse(&format!("-{text}")), Ok((!is_zero, size)));
        assert_eq!(duration::parse(&format!("+{text}")), Ok((false, size)));
    }
}
