use std::collections::BTreeSet;
use std::sync::Arc;

use strongroom_kes_client::ListPattern;
use strongroom_kes_client::body::{NamePage, ToJson as _};

use crate::server::{Reply, Seen, Server, json};

fn argument(seen: &Seen) -> String {
    let decoded = strongroom_kes_api::path::decode(&seen.path)
        .unwrap()
        .into_owned();
    decoded.strip_prefix("/v1/key/list/").unwrap().to_owned()
}

fn page(names: Vec<String>, continue_at: Option<String>) -> Reply {
    let page = NamePage { names, continue_at };
    json(200, std::str::from_utf8(&page.to_json()).unwrap())
}

fn names(count: usize) -> Arc<Vec<String>> {
    let mut names: Vec<String> = (0..count).map(|i| format!("key-{i:04}")).collect();
    names.extend(["key", "key-", "other", "zoo"].map(str::to_owned));
    names.sort();
    Arc::new(names)
}

async fn listed(server: &Server, pattern: &str) -> Vec<String> {
    server
        .client()
        .list_keys(&ListPattern::parse(pattern).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn our_pages_are_followed_to_the_end() {
    let all = names(50);
    let served = Arc::clone(&all);
    let server = Server::start(move |seen| {
        let (names, token) = ListPattern::parse(&argument(seen))
            .unwrap()
            .page(served.iter().cloned(), 7);
        page(names, token)
    })
    .await;
    assert_eq!(listed(&server, "*").await, *all);
    assert_eq!(listed(&server, "key-*").await.len(), 51);
    assert_eq!(listed(&server, "o").await, ["other"]);
}

/// Newest upstream: the token is a name, which it then reads as a prefix; a pattern that ends in `-` is refused.
fn upstream(all: &[String], pattern: &str) -> Reply {
    if pattern.ends_with('-') {
        return json(
            400,
            &format!(
                "{{\"message\":\"listing pattern '{pattern}' is empty, too long or is invalid\"}}"
            ),
        );
    }
    let prefix = if pattern == "*" { "" } else { pattern };
    let mut found: Vec<String> = all
        .iter()
        .filter(|n| n.starts_with(prefix))
        .cloned()
        .collect();
    let token = found.get(10).cloned();
    found.truncate(10);
    page(found, token)
}

#[tokio::test]
async fn listings_that_upstream_cannot_continue_are_complete_all_the_same() {
    let all = names(50);
    let served = Arc::clone(&all);
    let server = Server::start(move |seen| upstream(&served, &argument(seen))).await;
    assert_eq!(listed(&server, "").await, *all);
    assert_eq!(listed(&server, "key-").await.len(), 51);
}

#[tokio::test]
async fn lines_of_2022_are_read_and_prefixes_become_globs() {
    let all = names(3);
    let served = Arc::clone(&all);
    let server = Server::start(move |seen| {
        let pattern = argument(seen);
        let matching = served
            .iter()
            .filter(|name| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => **name == pattern,
            });
        let lines: String = matching
            .rev()
            .map(|name| format!("{{\"name\":\"{name}\"}}\n"))
            .collect();
        Reply {
            content_type: "application/x-ndjson",
            ..json(200, &lines)
        }
    })
    .await;
    assert_eq!(listed(&server, "*").await, *all);
    let found: BTreeSet<_> = listed(&server, "key-").await.into_iter().collect();
    assert_eq!(found.len(), 4);
}
