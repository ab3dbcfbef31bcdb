//! Complete listings from servers of every age.
//!
//! Ages differ in how they read a pattern, and some cannot continue a listing:
//! - Ours, and newest upstream: `foo` means the prefix `foo`. Only ours reads `foo*` the same way.
//! - Servers of 2022 and 2023 answer in lines (NDJSON), without pages, and read the pattern as a shell glob.
//! - Newest upstream refuses a pattern that ends in `-`, and its token is a name that it then reads as a prefix: such a
//!   listing would stop early without a word. It is taken apart into longer prefixes instead.

use std::collections::BTreeSet;

use strongroom_kes_api::body::{IdentityPage, NamePage, NdjsonList, is_ndjson};
use strongroom_kes_api::path;

use crate::client::{KesClient, read};
use crate::error::{Error, bad_body};
use crate::transport::Answer;

/// More names than any key store holds; ends a listing that a broken server would spin out.
const NAMES_MAX: usize = 10_000_000;
/// Bytes of names, `-` aside: a prefix must not end in it.
const NAME_BYTES: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// All names under a prefix, ascending.
pub(crate) async fn list(
    client: &KesClient,
    route: &'static str,
    prefix: &str,
) -> Result<Vec<String>, Error> {
    let mut names = BTreeSet::new();
    // A stack instead of recursion: prefixes still to be listed.
    let mut pending = vec![prefix.to_owned()];
    while let Some(part) = pending.pop() {
        match list_part(client, route, &part, &mut names).await? {
            End::Reached => {}
            End::BadToken => pending.extend(longer_prefixes(&part)),
        }
        if names.len() > NAMES_MAX {
            break;
        }
    }
    Ok(names
        .into_iter()
        .filter(|name| name.starts_with(prefix))
        .collect())
}

enum End {
    Reached,
    /// There is more, but the server cannot continue.
    BadToken,
}

async fn list_part(
    client: &KesClient,
    route: &'static str,
    prefix: &str,
    names: &mut BTreeSet<String>,
) -> Result<End, Error> {
    // `*` is understood by all, in all ages.
    let mut pattern = if prefix.is_empty() {
        "*".to_owned()
    } else {
        prefix.to_owned()
    };
    let mut answer = match client.get(route, &pattern).await {
        Err(Error::Server { status: 400, .. }) if prefix.ends_with('-') => {
            // What else starts with the shorter prefix is dropped by the caller.
            pattern = prefix.trim_end_matches('-').to_owned();
            if pattern.is_empty() {
                pattern.push('*');
            }
            client.get(route, &pattern).await?
        }
        other => other?,
    };
    if is_ndjson(answer.content_type.as_deref()) {
        if !prefix.is_empty() {
            answer = client.get(route, &format!("{prefix}*")).await?;
        }
        return lines(&answer, names).map(|()| End::Reached);
    }
    loop {
        let (page, token) = page(route, &answer)?;
        // Clients take an empty page for the end, whatever the token.
        let Some(token) = token.filter(|_| !page.is_empty()) else {
            names.extend(page);
            return Ok(End::Reached);
        };
        let before = names.len();
        names.extend(page);
        let is_ours = token.contains('*');
        if !is_ours || names.len() == before || names.len() > NAMES_MAX {
            return Ok(if is_ours { End::Reached } else { End::BadToken });
        }
        answer = client.get(route, &token).await?;
    }
}

/// Every name under `prefix` is `prefix` itself, which sorts first and was on the page, or starts with one of these. A
/// prefix must not end in `-`, so runs of it are skipped over: two are more than anybody has.
fn longer_prefixes(prefix: &str) -> Vec<String> {
    ["", "-", "--"]
        .iter()
        .flat_map(|dashes| {
            NAME_BYTES
                .chars()
                .map(move |c| format!("{prefix}{dashes}{c}"))
        })
        .collect()
}

fn page(route: &str, answer: &Answer) -> Result<(Vec<String>, Option<String>), Error> {
    if route == path::IDENTITY_LIST {
        let page: IdentityPage = read(answer)?;
        Ok((page.identities, page.continue_at))
    } else {
        let page: NamePage = read(answer)?;
        Ok((page.names, page.continue_at))
    }
}

fn lines(answer: &Answer, names: &mut BTreeSet<String>) -> Result<(), Error> {
    let list =
        NdjsonList::parse(&answer.body).map_err(|error| bad_body(&answer.endpoint, &error))?;
    if let Some(failure) = list.failure {
        return Err(failure.into());
    }
    names.extend(list.names);
    Ok(())
}
