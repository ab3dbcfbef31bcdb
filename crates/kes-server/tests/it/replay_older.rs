//! What clients of 2020 to 2023 send and were answered: the same status, plaintexts, names and patterns, in today's shape, but
//! for the differences that docs/decisions/0006-kes-differences.md lists, each with its reason.

use std::collections::BTreeSet;

use serde_json::Value;
use strongroom_kes_api::KeyName;

use crate::differences::{AGES, Difference, messages};
use crate::harness::{Answer, Fixture, config_of, fixture, fixtures, new_store};
use crate::replay::{Request, after, take_recorded_key};

#[tokio::test]
async fn recorded_exchanges_of_older_ages_are_answered_as_recorded_or_as_listed() {
    let differences = Difference::all();
    let mut unused: Vec<&Difference> = differences.iter().collect();
    unused.retain(|difference| !difference.is_of(AGES[0]));
    let messages = messages();
    let mut unused_messages = messages.clone();
    let mut surprises = String::new();
    for (age, count) in [
        ("v0.23", 190),
        ("v0.22", 189),
        ("v0.17", 190),
        ("v0.10", 190),
    ] {
        let recorded = fixtures().join(age).join("keystore");
        let (folder, keys, store) = new_store();
        let mut config = config_of(age, &keys, |text| text);
        if age == "v0.23" {
            // That version passed the list over.
            config.keys.clear();
        }
        let f = Fixture::run(config, store, folder, keys).await;
        take_recorded_key(&recorded, &f.keys, "app-declared");
        let mut compared = 0;
        for line in fixture(&format!("{age}/exchanges.jsonl")).lines() {
            let exchange: Value = serde_json::from_str(line).unwrap();
            if !exchange["request"].is_object() || exchange["as"].is_null() {
                continue;
            }
            let request = Request::of(&exchange);
            if request.path.contains("/broken-") {
                std::fs::write(f.keys.join("broken-json"), "{\"bytes\":").unwrap();
                std::fs::write(f.keys.join("broken-empty"), "").unwrap();
            }
            let answer = send(&f, &request).await;
            after(&request, &recorded, &f.keys);
            let response = &exchange["response"];
            let sent = request.sent(age, response, &answer);
            if let Some(difference) = differences.iter().find(|d| d.is_meant(&sent)) {
                unused.retain(|d| *d != difference);
            } else {
                let outcome = if u64::from(answer.status) == sent.then {
                    compare_bodies(&request, &answer, response, &messages, &mut unused_messages)
                } else {
                    Err(format!("{} → {}", sent.then, sent.now))
                };
                if let Err(what) = outcome {
                    let (n, method, path) = (&exchange["n"], &request.method, &request.path);
                    let body = &request.recorded_body;
                    surprises += &format!("{age} {n}: {method} {path} {body:.60}: {what}\n");
                }
            }
            compared += 1;
        }
        assert_eq!(compared, count, "{age}");
    }
    assert!(surprises.is_empty(), "\n{surprises}\nunused: {unused:#?}");
    assert!(unused.is_empty(), "{unused:?}");
    assert!(unused_messages.is_empty(), "{unused_messages:?}");
}

async fn send(f: &Fixture, request: &Request) -> Answer {
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let mut connection = f.connect(&request.who).await.unwrap();
    let (method, path) = (&request.method, &request.path);
    let answer = connection.request(method, path, &headers, request.body.as_deref());
    answer.await.unwrap()
}

fn same<T: PartialEq + std::fmt::Debug>(ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs {
        Ok(())
    } else {
        Err(format!("{theirs:?} → {ours:?}"))
    }
}

fn compare_bodies(
    request: &Request,
    answer: &Answer,
    response: &Value,
    messages: &BTreeSet<(String, String)>,
    unused: &mut BTreeSet<(String, String)>,
) -> Result<(), String> {
    let body = response["body"].as_str().unwrap_or("");
    let path = &request.path;
    if answer.status == 200 && path.contains("/list/") {
        return same(&names(&answer.body), &names(body));
    }
    let Ok(theirs) = serde_json::from_str::<Value>(body) else {
        return Ok(());
    };
    let ours: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
    if path.starts_with("/v1/key/decrypt/") && theirs["plaintext"].is_string() {
        same(&ours["plaintext"], &theirs["plaintext"])?;
    }
    if path.starts_with("/v1/key/bulk/") && theirs.is_array() {
        // Clients take null for the empty plaintext, which is what we send.
        let theirs = theirs.to_string().replace("null", "\"\"");
        same(&ours.to_string(), &theirs)?;
    }
    if path.starts_with("/v1/policy/read/") && answer.status == 200 {
        let allow = if theirs["paths"].is_null() {
            "allow"
        } else {
            "paths"
        };
        same(&patterns(&ours["allow"]), &patterns(&theirs[allow]))?;
        same(&patterns(&ours["deny"]), &patterns(&theirs["deny"]))?;
    }
    if let Some(then) = theirs["message"].as_str() {
        let now = ours["message"].as_str().unwrap_or("");
        let pair = (unquoted(then), unquoted(now));
        unused.remove(&pair);
        if then != now && !messages.contains(&pair) {
            return Err(format!("{} {then:?} → {now:?}", answer.status));
        }
    }
    for member in ["name", "created_by"] {
        if theirs[member].is_string() && path.starts_with("/v1/key/describe/") {
            same(&ours[member], &theirs[member])?;
        }
    }
    Ok(())
}

/// A message with what it quotes left out.
fn unquoted(message: &str) -> String {
    let parts = message.split('\'').enumerate();
    let parts = parts.map(|(at, part)| if at % 2 == 1 { "…" } else { part });
    parts.collect::<Vec<_>>().join("'")
}

/// What a listing lists, in any of its forms: lines of objects, an array, a page, or identities with their policies. Names that
/// are none today are not listed any more.
fn names(body: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut add = |name: &Value| {
        let name = name.as_str().unwrap();
        if KeyName::parse(name).is_ok() {
            all.insert(name.to_owned());
        }
    };
    for value in serde_json::Deserializer::from_str(body).into_iter::<Value>() {
        let value = value.unwrap();
        let name = ["Name", "name", "identity"]
            .iter()
            .find_map(|member| value.get(member));
        let page = ["names", "identities"]
            .iter()
            .find_map(|member| value.get(member));
        match (name, page.unwrap_or(&value)) {
            (Some(name), _) => add(name),
            (None, Value::Array(names)) => names.iter().for_each(&mut add),
            (None, Value::Object(of)) => of.keys().for_each(|name| add(&name.clone().into())),
            (None, _) => {}
        }
    }
    all
}

/// Patterns as an array, or as an object of empty objects.
fn patterns(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(all) => all.iter().map(|p| p.as_str().unwrap().to_owned()).collect(),
        Value::Object(all) => all.keys().cloned().collect(),
        _ => BTreeSet::new(),
    }
}
