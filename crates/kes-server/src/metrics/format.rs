//! The exposition formats: text 0.0.4 and the three forms of protobuf
//! (prometheus.io/docs/instrumenting/exposition_formats; the messages are those of `io/prometheus/client/metrics.proto`).

use std::fmt::Write as _;

use super::{Family, Values};

/// What a client may ask for. OpenMetrics is none of them, as in upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    ProtobufDelimited,
    ProtobufText,
    ProtobufCompact,
}

const MESSAGE: &str = "io.prometheus.client.MetricFamily";

/// Field numbers and types of the messages.
mod field {
    pub(super) const FAMILY_NAME: u8 = 1;
    pub(super) const FAMILY_HELP: u8 = 2;
    pub(super) const FAMILY_TYPE: u8 = 3;
    pub(super) const FAMILY_METRIC: u8 = 4;
    pub(super) const METRIC_LABEL: u8 = 1;
    pub(super) const METRIC_GAUGE: u8 = 2;
    pub(super) const METRIC_COUNTER: u8 = 3;
    pub(super) const METRIC_HISTOGRAM: u8 = 7;
    pub(super) const LABEL_NAME: u8 = 1;
    pub(super) const LABEL_VALUE: u8 = 2;
    /// Of a gauge and of a counter.
    pub(super) const VALUE: u8 = 1;
    pub(super) const HISTOGRAM_COUNT: u8 = 1;
    pub(super) const HISTOGRAM_SUM: u8 = 2;
    pub(super) const HISTOGRAM_BUCKET: u8 = 3;
    pub(super) const BUCKET_COUNT: u8 = 1;
    pub(super) const BUCKET_BOUND: u8 = 2;
}

impl Format {
    /// The format that the `Accept` headers of a request prefer; text when they ask for nothing known.
    pub(crate) fn accepted<'h>(headers: impl Iterator<Item = &'h str>) -> Self {
        let mut best = (0.0, Self::Text);
        for range in headers.flat_map(|header| header.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("").to_ascii_lowercase();
            let mut quality = 1.0_f64;
            let (mut message, mut encoding, mut version) = ("", "", "");
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.parse().unwrap_or(0.0),
                    "proto" => message = value,
                    "encoding" => encoding = value,
                    "version" => version = value,
                    _ => {}
                }
            }
            let format = match (kind.as_str(), encoding) {
                ("text/plain", _) if matches!(version, "" | "0.0.4") => Self::Text,
                ("application/vnd.google.protobuf", "delimited") if message == MESSAGE => {
                    Self::ProtobufDelimited
                }
                ("application/vnd.google.protobuf", "text") if message == MESSAGE => {
                    Self::ProtobufText
                }
                ("application/vnd.google.protobuf", "compact-text") if message == MESSAGE => {
                    Self::ProtobufCompact
                }
                _ => continue,
            };
            // Among equals the first.
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::ProtobufDelimited => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::ProtobufText => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text"
            }
            Self::ProtobufCompact => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=compact-text"
            }
        }
    }

    pub(crate) fn write(self, families: &[Family]) -> Vec<u8> {
        match self {
            Self::Text => text(families).into_bytes(),
            Self::ProtobufDelimited => {
                let mut all = Vec::with_capacity(4096);
                for family in families {
                    let message = message(family).bytes();
                    varint(&mut all, message.len() as u64);
                    all.extend_from_slice(&message);
                }
                all
            }
            Self::ProtobufText => {
                let mut all = String::with_capacity(8192);
                for family in families {
                    message(family).push_lines(&mut all, 0);
                    all.push('\n');
                }
                all.into_bytes()
            }
            Self::ProtobufCompact => {
                let mut all = String::with_capacity(8192);
                for family in families {
                    message(family).push_line(&mut all);
                    all.push('\n');
                }
                all.into_bytes()
            }
        }
    }
}

impl Family {
    /// Name and number of the type.
    fn kind(&self) -> (&'static str, u64) {
        match self.values {
            Values::Counter(_) | Values::Counters(_) => ("counter", 0),
            Values::Gauge(_) => ("gauge", 1),
            Values::Histogram { .. } => ("histogram", 4),
        }
    }
}

fn text(families: &[Family]) -> String {
    let mut text = String::with_capacity(4096);
    for family in families {
        let name = family.name;
        let (kind, _) = family.kind();
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
        match &family.values {
            Values::Gauge(value) | Values::Counter(value) => {
                let _ = writeln!(text, "{name} {value}");
            }
            Values::Counters(series) => {
                for (status, count) in series {
                    let _ = writeln!(text, "{name}{{code=\"{status}\"}} {count}");
                }
            }
            Values::Histogram {
                buckets,
                sum,
                count,
            } => {
                for (le, below) in buckets {
                    let _ = writeln!(text, "{name}_bucket{{le=\"{le}\"}} {below}");
                }
                let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {count}");
                let _ = writeln!(text, "{name}_sum {sum}\n{name}_count {count}");
            }
        }
    }
    text
}

/// A protobuf message, as far as these need it: each field with its number and the name that the text forms write.
#[derive(Default)]
struct Message(Vec<(u8, &'static str, Field)>);

enum Field {
    Text(String),
    Uint(u64),
    Float(f64),
    /// An enumeration: its number, and the name in the text forms.
    Kind(u64, String),
    Message(Message),
}

impl Message {
    fn with(mut self, number: u8, name: &'static str, field: Field) -> Self {
        self.0.push((number, name, field));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, _, field) in &self.0 {
            let tag = |wire: u8| u64::from(number << 3 | wire);
            match field {
                Field::Text(text) => {
                    varint(&mut bytes, tag(2));
                    varint(&mut bytes, text.len() as u64);
                    bytes.extend_from_slice(text.as_bytes());
                }
                Field::Message(message) => {
                    let inner = message.bytes();
                    varint(&mut bytes, tag(2));
                    varint(&mut bytes, inner.len() as u64);
                    bytes.extend_from_slice(&inner);
                }
                Field::Uint(value) | Field::Kind(value, _) => {
                    varint(&mut bytes, tag(0));
                    varint(&mut bytes, *value);
                }
                Field::Float(value) => {
                    varint(&mut bytes, tag(1));
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
        bytes
    }

    fn push_lines(&self, text: &mut String, depth: usize) {
        for (_, name, field) in &self.0 {
            let indent = "  ".repeat(depth);
            let _ = match field {
                Field::Message(message) => {
                    let _ = writeln!(text, "{indent}{name}: {{");
                    message.push_lines(text, depth + 1);
                    writeln!(text, "{indent}}}")
                }
                plain => writeln!(text, "{indent}{name}: {plain}"),
            };
        }
    }

    fn push_line(&self, text: &mut String) {
        for (at, (_, name, field)) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            let _ = match field {
                Field::Message(message) => {
                    let _ = write!(text, "{space}{name}:{{");
                    message.push_line(text);
                    write!(text, "}}")
                }
                plain => write!(text, "{space}{name}:{plain}"),
            };
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Our names and help texts are plain ASCII, which Rust quotes as protobuf does.
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Kind(_, name) => f.write_str(name),
            Self::Message(_) => Ok(()),
        }
    }
}

fn message(family: &Family) -> Message {
    let (kind, number) = family.kind();
    let mut message = Message::default()
        .with(
            field::FAMILY_NAME,
            "name",
            Field::Text(family.name.to_owned()),
        )
        .with(
            field::FAMILY_HELP,
            "help",
            Field::Text(family.help.to_owned()),
        )
        .with(
            field::FAMILY_TYPE,
            "type",
            Field::Kind(number, kind.to_ascii_uppercase()),
        );
    let value = |value: f64| Message::default().with(field::VALUE, "value", Field::Float(value));
    let mut push = |metric: Message| {
        message
            .0
            .push((field::FAMILY_METRIC, "metric", Field::Message(metric)));
    };
    match &family.values {
        Values::Gauge(number) => push(Message::default().with(
            field::METRIC_GAUGE,
            "gauge",
            Field::Message(value(*number)),
        )),
        Values::Counter(number) => push(Message::default().with(
            field::METRIC_COUNTER,
            "counter",
            Field::Message(value(*number)),
        )),
        Values::Counters(series) => {
            for (status, count) in series {
                let label = Message::default()
                    .with(field::LABEL_NAME, "name", Field::Text("code".to_owned()))
                    .with(field::LABEL_VALUE, "value", Field::Text(status.to_string()));
                push(
                    Message::default()
                        .with(field::METRIC_LABEL, "label", Field::Message(label))
                        .with(
                            field::METRIC_COUNTER,
                            "counter",
                            Field::Message(value(super::float(*count))),
                        ),
                );
            }
        }
        Values::Histogram {
            buckets,
            sum,
            count,
        } => {
            let mut histogram = Message::default()
                .with(field::HISTOGRAM_COUNT, "sample_count", Field::Uint(*count))
                .with(field::HISTOGRAM_SUM, "sample_sum", Field::Float(*sum));
            for (bound, below) in buckets {
                let bucket = Message::default()
                    .with(field::BUCKET_COUNT, "cumulative_count", Field::Uint(*below))
                    .with(field::BUCKET_BOUND, "upper_bound", Field::Float(*bound));
                histogram =
                    histogram.with(field::HISTOGRAM_BUCKET, "bucket", Field::Message(bucket));
            }
            push(Message::default().with(
                field::METRIC_HISTOGRAM,
                "histogram",
                Field::Message(histogram),
            ));
        }
    }
    message
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}
