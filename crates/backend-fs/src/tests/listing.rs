use std::collections::BTreeSet;

use proptest::prelude::*;
use strongroom_backend::object::{ListItem, ListQuery};

use super::harness::*;

/// A row as text: keys as they are, prefixes marked.
fn show(items: &[ListItem]) -> Vec<String> {
    items
        .iter()
        .map(|item| match item {
            ListItem::Object(object) => object.key.clone(),
            ListItem::Prefix(prefix) => format!("PRE {prefix}"),
        })
        .collect()
}

/// What S3 says a page is, from a plain set of keys.
fn model(keys: &BTreeSet<String>, query: &ListQuery) -> (Vec<String>, bool) {
    let mut rows: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(&query.prefix)) {
        let common = query.delimiter.as_deref().and_then(|delimiter| {
            let at = key[query.prefix.len()..].find(delimiter)?;
            Some(key[..query.prefix.len() + at + delimiter.len()].to_owned())
        });
        let name = common.as_ref().unwrap_or(key);
        let is_after = query.after.as_ref().is_none_or(|after| {
            name > after
                && common
                    .as_ref()
                    .is_none_or(|common| !after.starts_with(common))
        });
        let row = common
            .as_ref()
            .map_or_else(|| key.clone(), |common| format!("PRE {common}"));
        if is_after && rows.last() != Some(&row) {
            rows.push(row);
        }
    }
    let truncated = rows.len() > query.max && query.max > 0;
    rows.truncate(query.max);
    (rows, truncated)
}

fn key() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b", "a!", "a0", "A", "/", "/", "é", "-", ".", "~",
    ]);
    let long = prop::sample::select(vec![
        ("x", 137),
        ("x", 138),
        ("x", 140),
        ("x", 300),
        ("é", 60),
    ])
    .prop_map(|(text, times)| text.repeat(times));
    prop::collection::vec(
        prop_oneof![12 => piece.prop_map(str::to_owned), 1 => long],
        1..6,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn pages_are_those_of_a_sorted_set(
        keys in prop::collection::btree_set(key(), 0..40),
        queries in prop::collection::vec(
            (key(), 0..6_usize, prop::option::of(key()),
             prop::sample::select(vec![None, Some("/"), Some("-"), Some("a"), Some("/a"), Some("é")]),
             prop::sample::select(vec![0, 1, 2, 3, 7, 1000])), 40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let f = Fixture::new().await;
            for key in &keys {
                put(&f.store, key, key.as_bytes()).await;
            }
            for (prefix, cut, after, delimiter, max) in queries {
                let prefix: String = prefix.chars().take(cut).collect();
                let query = ListQuery {
                    bucket: BUCKET.to_owned(), prefix, delimiter: delimiter.map(str::to_owned), after, max,
                };
                let page = f.store.list(&query).await.unwrap();
                let (rows, truncated) = model(&keys, &query);
                assert_eq!((show(&page.items), page.truncated), (rows, truncated), "{query:?}");
            }
            // And page by page, each from the last row of the one before.
            for delimiter in [None, Some("/".to_owned())] {
                let mut query =
                    ListQuery { bucket: BUCKET.to_owned(), delimiter, max: 3, ..ListQuery::default() };
                let all = model(&keys, &ListQuery { max: 10_000, ..query.clone() }).0;
                let mut paged = Vec::new();
                loop {
                    let page = f.store.list(&query).await.unwrap();
                    paged.extend(show(&page.items));
                    if !page.truncated { break }
                    query.after = paged.last().map(|row| row.trim_start_matches("PRE ").to_owned());
                }
                assert_eq!(paged, all);
            }
        });
    }
}

#[tokio::test]
async fn a_folder_larger_than_a_run_is_listed_whole() {
    let f = Fixture::new().await;
    let mut expected = Vec::new();
    for number in 0..2_300 {
        let key = format!("flat/{:04}", (number * 7) % 2_300);
        put(&f.store, &key, b"").await;
        expected.push(key);
    }
    expected.sort();
    let mut query = ListQuery {
        bucket: BUCKET.to_owned(),
        max: 900,
        ..ListQuery::default()
    };
    let mut paged = Vec::new();
    loop {
        let page = f.store.list(&query).await.unwrap();
        paged.extend(show(&page.items));
        if !page.truncated {
            break;
        }
        query.after = paged.last().cloned();
    }
    assert_eq!(paged, expected);
}

#[tokio::test]
async fn rows_tell_what_a_wrapper_needs() {
    let f = Fixture::new().await;
    let mut new = put_of("k", &pattern(40_000, 0));
    new.envelope = Some(bytes::Bytes::from(vec![7; 8000]));
    new.headers.storage_class = Some("GLACIER".to_owned());
    let stored = f.store.put(new).await.unwrap();
    let query = ListQuery {
        bucket: BUCKET.to_owned(),
        max: 1,
        ..ListQuery::default()
    };
    let page = f.store.list(&query).await.unwrap();
    let [ListItem::Object(row)] = page.items.as_slice() else {
        panic!("{page:?}")
    };
    assert_eq!((row.stored_length, row.etag.as_str()), (40_000, "etag-1"));
    assert_eq!(row.generation, stored.generation);
    assert_eq!(row.last_modified, stored.last_modified);
    assert_eq!(row.envelope.as_ref().map(bytes::Bytes::len), Some(8000));
    assert_eq!(row.storage_class.as_deref(), Some("GLACIER"));
    let nowhere = ListQuery {
        bucket: "nowhere".to_owned(),
        max: 1,
        ..ListQuery::default()
    };
    assert_eq!(
        code(f.store.list(&nowhere).await.unwrap_err()),
        "NoSuchBucket"
    );
}
