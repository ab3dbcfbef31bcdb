use super::*;
use crate::protobuf::Reader;

fn sample() -> Vec<Family> {
    let metrics = Metrics::default();
    let active = metrics.begin();
    for (status, ms) in [(200, 5), (200, 20), (404, 5), (403, 1), (502, 20_000)] {
        metrics.answered(status, Duration::from_millis(ms));
    }
    let disk = Some(DiskCacheSample {
        entries: 3,
        is_serving: true,
        served: 7,
        written: 8,
        failed: 0,
    });
    let families = metrics.families(Duration::from_secs(3), &MachineSample::default(), disk);
    drop(active);
    families
}

fn text(format: Format) -> String {
    String::from_utf8(format.write(&sample())).unwrap()
}

#[test]
fn every_family_but_three_has_one_series() {
    let text = text(Format::Text);
    for line in [
        "kes_http_request_success{code=\"200\"} 2",
        "kes_http_request_error{code=\"403\"} 1",
        "kes_http_request_error{code=\"404\"} 1",
        "kes_http_request_failure{code=\"502\"} 1",
        "kes_http_request_active 1",
        "kes_http_response_time_bucket{le=\"0.01\"} 3",
        "kes_http_response_time_bucket{le=\"10\"} 4",
        "kes_http_response_time_bucket{le=\"+Inf\"} 5",
        "kes_http_response_time_count 5",
        "kes_system_up_time 3",
        "kes_cache_disk_active 1",
        "kes_cache_disk_served_total 7",
    ] {
        assert!(
            text.lines().any(|l| l == line),
            "{line} is missing in\n{text}"
        );
    }
    let labelled = text.lines().filter(|l| l.contains("{code=")).count();
    let buckets = text.lines().filter(|l| l.contains("_bucket{")).count();
    let braces = text.lines().filter(|l| l.contains('{')).count();
    assert_eq!(braces, labelled + buckets);
}

#[test]
fn a_family_without_series_or_without_a_disk_cache_is_left_out() {
    let families = Metrics::default().families(Duration::ZERO, &MachineSample::default(), None);
    let text = String::from_utf8(Format::Text.write(&families)).unwrap();
    assert!(!text.contains("kes_http_request_failure"));
    assert!(!text.contains("kes_cache_disk"));
}

#[test]
fn clients_get_the_format_that_they_prefer() {
    let protobuf = |encoding: &str| {
        format!(
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding={encoding}"
        )
    };
    let accepted = |header: &str| Format::accepted([header].into_iter());
    assert_eq!(Format::accepted([].into_iter()), Format::Text);
    assert_eq!(accepted(&protobuf("delimited")), Format::ProtobufDelimited);
    assert_eq!(accepted(&protobuf("text")), Format::ProtobufText);
    assert_eq!(accepted(&protobuf("compact-text")), Format::ProtobufCompact);
    for other in [
        "*/*",
        "application/json",
        "application/openmetrics-text; version=1.0.0",
        "application/vnd.google.protobuf; proto=other; encoding=delimited",
        "text/plain; version=0.0.5",
        "application/vnd.google.protobuf;q=x",
    ] {
        assert_eq!(accepted(other), Format::Text, "{other}");
    }
    // What Prometheus sends.
    let scraper = format!(
        "{};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        protobuf("delimited")
    );
    assert_eq!(accepted(&scraper), Format::ProtobufDelimited);
    let reluctant = format!("{};q=0.2,text/plain;q=0.9", protobuf("delimited"));
    assert_eq!(accepted(&reluctant), Format::Text);
}

#[test]
fn the_delimited_form_holds_the_same_families() {
    let bytes = Format::ProtobufDelimited.write(&sample());
    // As one message whose only field is repeated, the delimiters read as lengths.
    let mut rest = bytes.as_slice();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (length, after) = match rest {
            [low, high, after @ ..] if low & 0x80 != 0 => {
                (usize::from(low & 0x7f) | usize::from(*high) << 7, after)
            }
            [low, after @ ..] => (usize::from(*low), after),
            [] => unreachable!(),
        };
        let (family, after) = after.split_at(length);
        rest = after;
        let mut reader = Reader::new(family);
        let mut metrics = 0;
        let mut name = String::new();
        while let Some((number, value)) = reader.next().unwrap() {
            match number {
                1 => name = String::from_utf8(value.as_bytes().unwrap().to_vec()).unwrap(),
                4 => metrics += 1,
                _ => {}
            }
        }
        names.push((name, metrics));
    }
    let families = sample();
    assert_eq!(names.len(), families.len());
    assert!(names.contains(&("kes_http_request_error".to_owned(), 2)));
    assert!(names.contains(&("kes_http_response_time".to_owned(), 1)));
    // A gauge of 1, byte by byte.
    let one = gauge("g", "h", 1.0);
    assert_eq!(
        Format::ProtobufDelimited.write(&[one]),
        [
            21, 0x0a, 1, b'g', 0x12, 1, b'h', 0x18, 1, 0x22, 11, 0x12, 9, 0x09, 0, 0, 0, 0, 0, 0,
            0xf0, 0x3f
        ]
    );
}

#[test]
fn the_text_forms_of_protobuf_hold_the_same_families() {
    let lines = text(Format::ProtobufText);
    assert!(lines.contains(
        "name: \"kes_http_request_failure\"\nhelp: \"Number of requests that failed by fault of the server.\"\ntype: COUNTER\nmetric: {\n  label: {\n    name: \"code\"\n    value: \"502\"\n  }\n  counter: {\n    value: 1\n  }\n}\n"
    ), "{lines}");
    let compact = text(Format::ProtobufCompact);
    assert_eq!(compact.lines().count(), sample().len());
    assert!(compact.contains(
        "name:\"kes_http_request_failure\" help:\"Number of requests that failed by fault of the server.\" type:COUNTER metric:{label:{name:\"code\" value:\"502\"} counter:{value:1}}\n"
    ), "{compact}");
}
