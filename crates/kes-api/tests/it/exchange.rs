//! Reads the recordings.

use std::path::PathBuf;

use serde_json::Value;

/// One request and its answer.
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) caller: Option<String>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) request: Option<String>,
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

pub(crate) fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/kes")
        .join(path)
}

/// All exchanges that were answered.
pub(crate) fn recorded(age: &str) -> Vec<Exchange> {
    let text = std::fs::read_to_string(fixture(age).join("exchanges.jsonl")).unwrap();
    let exchanges: Vec<Exchange> = text.lines().filter_map(parse).collect();
    assert!(exchanges.len() > 100, "the recording is not empty");
    exchanges
}

fn parse(line: &str) -> Option<Exchange> {
    let value: Value = serde_json::from_str(line).unwrap();
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let (request, response) = (&value["request"], &value["response"]);
    Some(Exchange {
        name: text(&value["name"])?,
        caller: text(&value["as"]),
        method: text(&request["method"])?,
        path: text(&request["path"])?,
        // Bodies of a megabyte were replaced by a description.
        request: text(&request["body"]).filter(|body| !body.starts_with('(')),
        status: u16::try_from(response["status"].as_u64()?).unwrap(),
        content_type: text(&response["headers"]["content-type"]),
        body: text(&response["body"]).unwrap_or_default(),
    })
}
