//! Where answers differ from the recorded ones: read from the decision that argues for them, so that there is one list.

use std::collections::{BTreeMap, BTreeSet};

/// The ages that are replayed.
pub(crate) const AGES: [&str; 5] = ["newest", "v0.23", "v0.22", "v0.17", "v0.10"];

const DECISION: &str = include_str!("../../../../docs/decisions/0006-kes-differences.md");

/// A row of the table of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    ages: Vec<String>,
    method: String,
    path: String,
    body: String,
    then: String,
    now: String,
    pub(crate) rule: String,
}

/// A request that was sent again, with both outcomes.
pub(crate) struct Sent<'s> {
    pub(crate) age: &'s str,
    pub(crate) method: &'s str,
    pub(crate) path: &'s str,
    pub(crate) body: &'s str,
    /// 0: no answer came.
    pub(crate) then: u64,
    pub(crate) now: u16,
}

/// The rows of the table under a heading, without backquotes.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = DECISION.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = |line: &str| {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    let table = section.lines().filter(|line| line.starts_with('|'));
    table.skip(2).map(cells).collect()
}

impl Difference {
    pub(crate) fn all() -> Vec<Self> {
        let row = |cells: Vec<String>| {
            let [ages, method, path, body, then, now, rule] =
                <[String; 7]>::try_from(cells).unwrap();
            let ages = ages.split(", ").map(str::to_owned).collect();
            Self {
                ages,
                method,
                path,
                body,
                then,
                now,
                rule,
            }
        };
        rows("Requests").into_iter().map(row).collect()
    }

    pub(crate) fn is_of(&self, age: &str) -> bool {
        self.ages.iter().any(|of| of == age)
    }

    pub(crate) fn is_meant(&self, sent: &Sent<'_>) -> bool {
        let is_path = match self.path.strip_suffix('…') {
            Some(prefix) => sent.path.starts_with(prefix),
            None => sent.path == self.path,
        };
        let is_body = match self.body.as_str() {
            "" => true,
            "none" => sent.body.is_empty(),
            part => sent.body.contains(part),
        };
        self.is_of(sent.age)
            && (self.method == "any" || self.method == sent.method)
            && is_path
            && is_body
            && self.then == sent.then.to_string()
            && self.now == sent.now.to_string()
    }
}

/// Messages of older ages with those that stand for them today.
pub(crate) fn messages() -> BTreeSet<(String, String)> {
    let pair = |cells: Vec<String>| {
        let [then, now] = <[String; 2]>::try_from(cells).unwrap();
        (then, now)
    };
    rows("Messages").into_iter().map(pair).collect()
}

#[test]
fn every_difference_has_a_rule_and_every_rule_a_difference() {
    let rules: BTreeMap<String, String> = rows("Rules")
        .into_iter()
        .map(|cells| (cells[0].clone(), cells[1].clone()))
        .collect();
    let differences = Difference::all();
    let used: BTreeSet<&str> = differences.iter().map(|d| d.rule.as_str()).collect();
    let listed: BTreeSet<&str> = rules.keys().map(String::as_str).collect();
    assert_eq!(used, listed);
    assert!(rules.values().all(|why| why.len() > 20));
    for difference in &differences {
        assert!(
            difference
                .ages
                .iter()
                .all(|age| AGES.contains(&age.as_str())),
            "{difference:?}"
        );
    }
}
