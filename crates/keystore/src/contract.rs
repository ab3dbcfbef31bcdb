//! The promises of [`KeyStore`] as a suite that every implementation passes.
//!
//! A suite runs inside somebody's test: a broken promise panics with its name.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::future::join_all;
use strongroom_kes_api::KeyName;
use zeroize::Zeroizing;

use crate::{KeyStore, StoreError, StoredValue};

/// What a service cannot do, and its store says so.
#[derive(Debug, Clone, Copy)]
pub struct Exceptions {
    /// Of creators at the same moment two may believe that they won; the store has a [`KeyStore::caveat`].
    pub create_races: bool,
    /// Names are `[0-9A-Za-z-]` without regard to case; others are refused in words by [`KeyStore::create`].
    pub narrow_names: bool,
    /// Longest value that fits, bytes; the key server's own have some 300.
    pub value_bytes_max: usize,
}

impl Exceptions {
    /// The whole contract.
    pub const NONE: Self = Self {
        create_races: false,
        narrow_names: false,
        value_bytes_max: 16 << 10,
    };
}

/// Runs the whole suite. `make` gives a new, empty store each time.
pub async fn holds<K, F, M>(make: M)
where
    K: KeyStore + 'static,
    F: Future<Output = Arc<K>>,
    M: Fn() -> F,
{
    holds_but_for(Exceptions::NONE, make).await;
}

/// Runs the suite for a service that cannot do all of it.
pub async fn holds_but_for<K, F, M>(exceptions: Exceptions, make: M)
where
    K: KeyStore + 'static,
    F: Future<Output = Arc<K>>,
    M: Fn() -> F,
{
    connect_is_good(&*make().await).await;
    a_value_comes_back_as_it_was_stored(&*make().await).await;
    create_never_overwrites(&*make().await).await;
    if exceptions.create_races {
        let caveat = make().await.caveat();
        assert!(caveat.is_some(), "a store without atomic create says so");
    } else {
        of_concurrent_creators_one_wins(make().await).await;
    }
    delete_removes_and_the_name_is_free_again(&*make().await).await;
    listing_pages_in_order(&*make().await, exceptions.narrow_names).await;
    listing_honours_the_prefix(&*make().await).await;
    if exceptions.narrow_names {
        names_that_do_not_fit_are_refused(&*make().await).await;
    } else {
        every_legal_name_is_its_own_key(&*make().await).await;
    }
    the_longest_value_fits(&*make().await, exceptions.value_bytes_max).await;
    status_is_good(&*make().await).await;
}

/// A name that the suite knows to be legal.
#[must_use]
pub fn name(text: &str) -> KeyName {
    done("a legal name", KeyName::parse(text))
}

/// A value to store.
#[must_use]
pub fn value(text: &str) -> StoredValue {
    done(
        "a short value",
        StoredValue::new(Zeroizing::new(text.to_owned())),
    )
}

fn done<T, E: Debug>(what: &str, outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("{what} failed: {error:?}"))
}

async fn stored<K: KeyStore>(store: &K, key: &str) -> String {
    done("get", store.get(&name(key)).await).expose().to_owned()
}

async fn a_value_comes_back_as_it_was_stored<K: KeyStore>(store: &K) {
    for (key, text) in [
        ("text", "plain"),
        ("json", "{\"bytes\":\"AA==\"}\n"),
        ("odd", " é\r\n\t="),
    ] {
        done("create", store.create(&name(key), value(text)).await);
        assert_eq!(
            stored(store, key).await,
            text,
            "a value comes back as it was stored"
        );
    }
    let missing = store.get(&name("missing")).await;
    assert!(
        matches!(missing, Err(StoreError::NotFound)),
        "a missing key is told: {missing:?}"
    );
}

async fn create_never_overwrites<K: KeyStore>(store: &K) {
    done("create", store.create(&name("k"), value("first")).await);
    let again = store.create(&name("k"), value("second")).await;
    assert!(
        matches!(again, Err(StoreError::Exists)),
        "create of an existing key: {again:?}"
    );
    assert_eq!(stored(store, "k").await, "first", "create never overwrites");
}

async fn of_concurrent_creators_one_wins<K: KeyStore + 'static>(store: Arc<K>) {
    const CREATORS: usize = 32;
    let creators = (0..CREATORS).map(|i| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.create(&name("raced"), value(&format!("v{i}"))).await })
    });
    let outcomes: Vec<_> = join_all(creators)
        .await
        .into_iter()
        .map(|o| done("task", o))
        .collect();
    let winners: Vec<usize> = (0..CREATORS).filter(|i| outcomes[*i].is_ok()).collect();
    assert_eq!(winners.len(), 1, "of concurrent creators exactly one wins");
    let others = outcomes
        .iter()
        .filter(|o| matches!(o, Err(StoreError::Exists)))
        .count();
    assert_eq!(
        others,
        CREATORS - 1,
        "the others learn that the key exists: {outcomes:?}"
    );
    assert_eq!(
        stored(&*store, "raced").await,
        format!("v{}", winners[0]),
        "the winner's value stays"
    );
}

async fn delete_removes_and_the_name_is_free_again<K: KeyStore>(store: &K) {
    done("create", store.create(&name("k"), value("one")).await);
    done("delete", store.delete(&name("k")).await);
    assert!(matches!(
        store.get(&name("k")).await,
        Err(StoreError::NotFound)
    ));
    let again = store.delete(&name("k")).await;
    assert!(
        matches!(again, Err(StoreError::NotFound) | Ok(())),
        "deleting nothing: {again:?}"
    );
    done(
        "create after delete",
        store.create(&name("k"), value("two")).await,
    );
    assert_eq!(stored(store, "k").await, "two");
}

async fn all_pages<K: KeyStore>(store: &K, prefix: &str, limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut from = None;
    loop {
        let page = done("list", store.list(prefix, from.as_ref(), limit).await);
        assert!(
            page.names.len() <= limit,
            "a page holds no more than was asked for"
        );
        names.extend(page.names.iter().map(|n| n.as_str().to_owned()));
        match page.next {
            Some(next) => {
                assert!(!page.names.is_empty(), "an empty page does not go on");
                from = Some(next);
            }
            None => return names,
        }
    }
}

async fn listing_pages_in_order<K: KeyStore>(store: &K, narrow_names: bool) {
    assert!(
        all_pages(store, "", 10).await.is_empty(),
        "a new store lists nothing"
    );
    let mut expected: Vec<String> = (0..25).map(|i| format!("key-{i}")).collect();
    expected.extend(["upper", "0digit"].map(str::to_owned));
    if !narrow_names {
        expected.extend(["Upper", "_under"].map(str::to_owned));
    }
    for key in &expected {
        done("create", store.create(&name(key), value("v")).await);
    }
    expected.sort_unstable();
    for limit in [1, 7, expected.len(), 1000] {
        assert_eq!(
            all_pages(store, "", limit).await,
            expected,
            "names ascend, pages of {limit}"
        );
    }
}

async fn listing_honours_the_prefix<K: KeyStore>(store: &K) {
    for key in ["app", "app-a", "app-b", "apple", "b", "ap"] {
        done("create", store.create(&name(key), value("v")).await);
    }
    assert_eq!(
        all_pages(store, "app", 2).await,
        ["app", "app-a", "app-b", "apple"]
    );
    assert_eq!(all_pages(store, "app-", 1).await, ["app-a", "app-b"]);
    assert!(all_pages(store, "zzz", 10).await.is_empty());
}

async fn every_legal_name_is_its_own_key<K: KeyStore>(store: &K) {
    let long = "x".repeat(80);
    let keys = [
        "a",
        "A",
        "_",
        "-",
        "-x",
        "x-",
        "con",
        "nul",
        "0",
        long.as_str(),
    ];
    for key in keys {
        done(
            key,
            store
                .create(&name(key), value(&format!("value of {key}")))
                .await,
        );
    }
    for key in keys {
        assert_eq!(stored(store, key).await, format!("value of {key}"));
    }
    let listed: BTreeSet<String> = all_pages(store, "", 100).await.into_iter().collect();
    assert_eq!(listed, keys.iter().map(|k| (*k).to_owned()).collect());
}

async fn names_that_do_not_fit_are_refused<K: KeyStore>(store: &K) {
    let refused = store.create(&name("a_b"), value("v")).await;
    let Err(StoreError::Other { reason, .. }) = refused else {
        panic!("a name that the service cannot hold: {refused:?}");
    };
    assert!(reason.contains("a_b"), "the refusal names it: {reason}");
    assert!(matches!(
        store.get(&name("a_b")).await,
        Err(StoreError::NotFound)
    ));
}

async fn connect_is_good<K: KeyStore>(store: &K) {
    done("connect", store.connect().await);
    let findings = store.examine().await;
    assert!(!findings.is_empty(), "an examination looks at something");
    for finding in findings {
        assert!(finding.outcome.is_ok(), "nothing is wrong: {finding:?}");
    }
}

async fn the_longest_value_fits<K: KeyStore>(store: &K, bytes: usize) {
    let text = "v".repeat(bytes);
    done("create", store.create(&name("big"), value(&text)).await);
    assert_eq!(stored(store, "big").await, text);
}

async fn status_is_good<K: KeyStore>(store: &K) {
    done("status", store.status().await);
    assert!(!store.describe().is_empty(), "a store says what it is");
}
