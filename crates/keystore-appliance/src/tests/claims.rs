//! What holds of every store, whatever the appliance does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use strongroom_keystore::contract::{self, name, value};
use strongroom_keystore::{Finding, KeyStore, StoreError};

use super::world::{HASTY, Kind, PATIENT, World};

/// Starts a world, or ends the test that is skipped.
macro_rules! world {
    ($world:ident) => {
        let Some($world) = $world else { return };
    };
}

/// A condition that comes true without anybody doing more for it.
macro_rules! soon {
    ($condition:expr) => {
        for attempt in 0.. {
            if $condition {
                break;
            }
            assert!(
                attempt < 600,
                "it never came true: {}",
                stringify!($condition)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
}

async fn read(store: &dyn KeyStore, key: &str) -> Result<String, StoreError> {
    Ok(store.get(&name(key)).await?.expose().to_owned())
}

fn is_unreachable<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Unreachable { .. }))
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Other { reason, .. }) => reason,
        other => panic!("the store was to answer with a failure: {other:?}"),
    }
}

pub(super) async fn it_keeps_the_promises_of_a_key_store(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    // Pages smaller than asked for are the appliance's right.
    world.settings(json!({"page": 7})).await;
    let world = &world;
    contract::holds(|| async {
        world.reset().await;
        Arc::new(world.store())
    })
    .await;
    let described = world.store().describe();
    assert_eq!(described, format!("{}: {}", kind.name(), world.endpoint()));
}

pub(super) async fn it_opens_without_anybody_there_and_works_once_there_is(kind: Kind) {
    let world = World::new(kind);
    world!(world);
    let mut world = world;
    let store = world.store();
    assert!(is_unreachable(&store.status().await));
    assert!(is_unreachable(&store.connect().await));
    let early = store.create(&name("k"), value("early")).await;
    assert!(is_unreachable(&early), "{early:?}");
    assert!(early.unwrap_err().in_full().contains(&world.endpoint()));
    world.launch();
    store.create(&name("k"), value("v")).await.unwrap();
    assert_eq!(read(&*store, "k").await.unwrap(), "v");
}

pub(super) async fn a_store_that_went_away_is_unreachable_and_comes_back(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let mut world = world;
    let store = world.store();
    store.connect().await.unwrap();
    world.peer().kill().unwrap();
    assert!(is_unreachable(&store.status().await));
    assert!(is_unreachable(&store.get(&name("k")).await));
    assert!(is_unreachable(&store.create(&name("k"), value("v")).await));
    assert!(is_unreachable(&store.delete(&name("k")).await));
    assert!(is_unreachable(&store.list("", None, 10).await));
    // Another process: it knows none of the tokens.
    world.launch();
    store.create(&name("k"), value("v")).await.unwrap();
    store.status().await.unwrap();
}

pub(super) async fn a_store_that_hangs_is_unreachable_in_time(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let mut world = world;
    let store = world.store_with(kind.secret(), HASTY, world.ca()).unwrap();
    let patient = world.store();
    patient.create(&name("k"), value("v")).await.unwrap();
    world.peer().pause().unwrap();
    let (new, other) = (name("new"), name("k"));
    let create = async { is_unreachable(&store.create(&new, value("v")).await) };
    let get = async { is_unreachable(&store.get(&other).await) };
    let list = async { is_unreachable(&store.list("", None, 10).await) };
    let status = async { is_unreachable(&store.status().await) };
    let outcome = futures::join!(create, get, list, status);
    world.peer().resume().unwrap();
    assert_eq!(outcome, (true, true, true, true));
    soon!(read(&*store, "k").await.is_ok_and(|v| v == "v"));
}

pub(super) async fn an_answer_of_somebody_else_is_no_success_and_no_absence(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    store.create(&name("old"), value("v")).await.unwrap();
    let fault = |kind: &str| json!([{"match": "*", "kind": kind, "status": 404, "times": 1000}]);
    // A hotel's network answers everything with a page; a proxy that knows no such path does so with 404.
    for fault in [fault("garbage"), fault("status")] {
        world.faults(fault).await;
        assert!(!reason(store.create(&name("new"), value("v")).await).is_empty());
        assert!(!reason(store.get(&name("old")).await).is_empty());
        assert!(!reason(store.list("", None, 10).await).is_empty());
        world.faults(json!([])).await;
        let new = store.get(&name("new")).await;
        assert!(matches!(new, Err(StoreError::NotFound)), "{new:?}");
        assert_eq!(read(&*store, "old").await.unwrap(), "v");
    }
}

pub(super) async fn errors_that_pass_are_outlasted_and_others_told(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    store.create(&name("k"), value("v")).await.unwrap();
    let fault = |status: u16, times: u32| json!([{"match": "*", "kind": "status", "status": status, "times": times}]);
    for (fault_kind, times) in [(503, 2), (500, 2)] {
        world.faults(fault(fault_kind, times)).await;
        assert_eq!(read(&*store, "k").await.unwrap(), "v");
        world.faults(fault(fault_kind, times)).await;
        assert_eq!(store.list("", None, 10).await.unwrap().names.len(), 1);
        world.faults(fault(fault_kind, 1)).await;
        store.create(&name("two"), value("v")).await.unwrap();
        world.faults(fault(fault_kind, times)).await;
        store.delete(&name("two")).await.unwrap();
    }
    world.faults(fault(503, 1000)).await;
    let away = store.get(&name("k")).await;
    assert!(is_unreachable(&away), "{away:?}");
    assert!(away.unwrap_err().in_full().contains("503"));
    world.faults(fault(500, 1000)).await;
    let failing = reason(store.get(&name("k")).await);
    assert!(
        failing.contains("500") && failing.contains("'k'"),
        "{failing}"
    );
    world
        .faults(json!([{"match": "*", "kind": "cut", "times": 2}]))
        .await;
    assert_eq!(read(&*store, "k").await.unwrap(), "v");
}

pub(super) async fn wrong_credentials_are_told_and_not_tried_without_end(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world
        .store_with("wrong-secret", PATIENT, world.ca())
        .unwrap();
    let refused = reason(store.connect().await);
    assert!(refused.contains("401"), "{refused}");
    assert!(refused.contains("`credentials."), "{refused}");
    assert!(!refused.contains("wrong-secret"), "{refused}");
    let key = name("k");
    let calls = join_all((0..50).map(|_| store.get(&key))).await;
    for outcome in calls {
        assert!(reason(outcome).contains("401"));
    }
    let logins = world.count(kind.login()).await;
    assert!(logins <= 3, "an account is not locked by us: {logins}");
}

pub(super) async fn secrets_are_in_no_error(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    world
        .faults(json!([{"match": "*", "kind": "echo", "times": 1000}]))
        .await;
    let store = world.store();
    let mut texts = vec![format!("{store:?}")];
    texts.push(store.connect().await.unwrap_err().in_full());
    world.faults(json!([])).await;
    store.connect().await.unwrap();
    world
        .faults(json!([{"match": "*", "kind": "echo", "times": 1000}]))
        .await;
    let created = store.create(&name("k"), value("my-master-key")).await;
    texts.push(created.unwrap_err().in_full());
    texts.push(store.get(&name("k")).await.unwrap_err().in_full());
    let base64_of_value = "bXktbWFzdGVyLWtleQ==";
    for text in texts {
        for secret in [kind.secret(), "my-master-key", base64_of_value, "Bearer e"] {
            assert!(!text.contains(secret), "{secret} is in: {text}");
        }
    }
}

pub(super) async fn a_create_whose_answer_was_lost_is_ours(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    let faults = [
        json!({"kind": "cut_after"}),
        json!({"kind": "late_status", "status": 500}),
        json!({"kind": "late_status", "status": 502}),
        json!({"kind": "late_status", "status": 200}),
        json!({"kind": "cut"}),
        json!({"kind": "status", "status": 504}),
        json!({"kind": "garbage"}),
    ];
    for (i, mut fault) in faults.into_iter().enumerate() {
        fault["match"] = json!(kind.creation());
        world.faults(json!([fault])).await;
        let key = format!("key-{i}");
        let created = store.create(&name(&key), value(&key)).await;
        created.unwrap_or_else(|error| panic!("{fault}: {error:?}"));
        assert_eq!(read(&*store, &key).await.unwrap(), key);
    }
    // Somebody else's value under that name is not ours, however the answer was lost.
    for lost in ["cut", "cut_after"] {
        world
            .faults(json!([{"match": kind.creation(), "kind": lost}]))
            .await;
        let taken = store.create(&name("key-0"), value("another")).await;
        assert!(matches!(taken, Err(StoreError::Exists)), "{taken:?}");
        assert_eq!(read(&*store, "key-0").await.unwrap(), "key-0");
    }
}

pub(super) async fn a_create_that_may_or_may_not_have_worked_is_not_called_taken(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    store.connect().await.unwrap();
    world
        .faults(json!([
            {"match": kind.creation(), "kind": "cut_after", "times": 1000},
            {"match": kind.reading("k"), "kind": "status", "status": 503, "times": 1000},
        ]))
        .await;
    let unknown = store.create(&name("k"), value("v")).await;
    assert!(is_unreachable(&unknown), "{unknown:?}");
}

pub(super) async fn a_delete_whose_answer_was_lost_is_done(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    for lost in ["cut", "cut_after"] {
        store.create(&name("k"), value("v")).await.unwrap();
        world
            .faults(json!([{"match": kind.deletion(), "kind": lost}]))
            .await;
        store.delete(&name("k")).await.unwrap();
        let gone = store.get(&name("k")).await;
        assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    }
    let nothing = store.delete(&name("k")).await;
    assert!(matches!(nothing, Err(StoreError::NotFound)), "{nothing:?}");
}

pub(super) async fn a_listing_of_many_pages_ends_and_is_complete(kind: Kind) {
    const NAMES: usize = 650;
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    // 512, 600 and 400 are whole pages of one of them, where "one more page?" is easily answered wrong.
    let mut names: Vec<String> = (0..NAMES).map(|i| format!("key-{i:04}")).collect();
    let mut made = 0;
    for until in [100, 200, 256, 400, 512, 600, NAMES] {
        stream::iter(&names[made..until])
            .map(|key| world.plant(key, "dg=="))
            .buffer_unordered(16)
            .collect::<()>()
            .await;
        made = until;
        let page = store.list("", None, 10_000).await.unwrap();
        let listed: Vec<&str> = page.names.iter().map(|n| n.as_str()).collect();
        assert_eq!(listed, names[..until], "{until} names");
        assert_eq!(page.next, None);
    }
    world.settings(json!({"page": 50})).await;
    let page = store.list("key-01", None, 10_000).await.unwrap();
    assert_eq!(page.names.len(), 100);
    names.truncate(10);
    let page = store.list("", None, 10).await.unwrap();
    assert_eq!(
        page.names,
        names.iter().map(|n| name(n)).collect::<Vec<_>>()
    );
    assert_eq!(page.next, Some(name("key-0010")));
}

pub(super) async fn foreign_entries_hurt_nobody_but_their_own_reader(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    store.create(&name("good"), value("v")).await.unwrap();
    world.plant("not a key/name", "x").await;
    world.plant(&"long".repeat(40), "x").await;
    world.plant("broken", "not base64!").await;
    world.settings(json!({"foreign": true})).await;
    let page = store.list("", None, 100).await.unwrap();
    assert_eq!(page.names, [name("broken"), name("good")]);
    assert_eq!(read(&*store, "good").await.unwrap(), "v");
    if kind == Kind::CipherTrust {
        // It holds texts as they are.
        assert_eq!(read(&*store, "broken").await.unwrap(), "not base64!");
    } else {
        let broken = reason(store.get(&name("broken")).await);
        assert!(
            broken.contains("'broken'") && broken.contains("base64"),
            "{broken}"
        );
        assert!(!broken.contains("not base64!"), "{broken}");
    }
    store.delete(&name("broken")).await.unwrap();
}

pub(super) async fn only_the_named_authority_is_believed(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let other = world.folder.path().join("other.pem");
    let store = world.store_with(kind.secret(), PATIENT, other).unwrap();
    let refused = store.connect().await;
    assert!(is_unreachable(&refused), "{refused:?}");
    let text = refused.unwrap_err().in_full();
    assert!(
        text.contains("`tls.ca`") && text.contains("certificate"),
        "{text}"
    );
    // A directory of authorities, with another file in it.
    let all = world.folder.path().to_path_buf();
    let store = world.store_with(kind.secret(), PATIENT, all).unwrap();
    store.connect().await.unwrap();
}

pub(super) async fn an_examination_tells_the_step_that_fails(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let mut world = world;
    let outcomes = |findings: &[Finding]| -> Vec<bool> {
        findings.iter().map(|f| f.outcome.is_ok()).collect()
    };
    let good = world.store().examine().await;
    assert_eq!(outcomes(&good), [true, true, true], "{good:?}");
    let wrong = world.store_with("wrong", PATIENT, world.ca()).unwrap();
    let found = wrong.examine().await;
    let last = found.last().unwrap();
    let text = last.outcome.clone().unwrap_err();
    assert!(text.contains("`credentials."), "{text}");
    world.peer().kill().unwrap();
    let away = world.store().examine().await;
    assert_eq!(outcomes(&away), [false], "{away:?}");
}

pub(super) async fn a_token_is_renewed_before_it_ends(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    world.settings(json!({"token_seconds": 2})).await;
    let store = world.store();
    store.create(&name("k"), value("v")).await.unwrap();
    let renewal = match kind {
        Kind::KeyControl => "POST /vault/1.0/Renew/",
        _ => kind.login(),
    };
    // Nobody calls; only the task does.
    soon!(world.count(renewal).await >= 3);
    assert_eq!(read(&*store, "k").await.unwrap(), "v");
    drop(store);
    if kind == Kind::KeyControl {
        assert_eq!(world.count(kind.login()).await, 1, "renewals are no logins");
    }
}

pub(super) async fn two_hundred_calls_with_a_revoked_token_make_one_login(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    store.create(&name("k"), value("v")).await.unwrap();
    assert_eq!(world.count(kind.login()).await, 1);
    world.revoke().await;
    let calls = (0..200).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { read(&*store, "k").await })
    });
    for outcome in join_all(calls).await {
        assert_eq!(outcome.unwrap().unwrap(), "v");
    }
    assert_eq!(world.count(kind.login()).await, 2);
}

pub(super) async fn a_missing_right_is_no_reason_to_log_in_again_and_again(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    store.connect().await.unwrap();
    let fault = json!({"match": kind.reading("k"), "kind": "status", "status": 403, "times": 1000});
    world.faults(json!([fault])).await;
    for _ in 0..20 {
        let forbidden = reason(store.get(&name("k")).await);
        assert!(forbidden.contains("403"), "{forbidden}");
    }
    // One login to see whether it helps; another only after seconds.
    let logins = world.count(kind.login()).await;
    assert!(logins < 10, "{logins}");
}

pub(super) async fn a_refused_renewal_is_followed_by_a_login() {
    let world = World::start(Kind::KeyControl);
    world!(world);
    world
        .settings(json!({"token_seconds": 2, "renew": "refused"}))
        .await;
    let store = world.store();
    store.connect().await.unwrap();
    soon!(world.count(Kind::KeyControl.login()).await >= 3);
    store.connect().await.unwrap();
}

pub(super) async fn a_listing_that_never_advances_ends(kind: Kind) {
    let world = World::start(kind);
    world!(world);
    let store = world.store();
    stream::iter(0..120)
        .map(|i| {
            let world = &world;
            async move {
                world.plant(&format!("key-{i}"), "dg==").await;
                Ok::<(), StoreError>(())
            }
        })
        .buffer_unordered(16)
        .try_collect::<()>()
        .await
        .unwrap();
    world.settings(json!({"stuck": true, "page": 50})).await;
    let endless = reason(store.list("", None, 10).await);
    assert!(endless.contains("without end"), "{endless}");
}

pub(super) async fn objects_without_names_do_not_end_a_listing() {
    let world = World::start(Kind::Sdkms);
    world!(world);
    let store = world.store();
    for i in 0..150 {
        world.plant(&format!("key-{i:03}"), "v").await;
    }
    for first in [true, false] {
        world
            .settings(json!({"nameless": 230, "nameless_first": first}))
            .await;
        let page = store.list("", None, 1000).await.unwrap();
        assert_eq!(page.names.len(), 150, "nameless first: {first}");
    }
    world
        .settings(json!({"nameless": 230, "nameless_first": true, "stuck": true}))
        .await;
    let endless = reason(store.list("", None, 10).await);
    assert!(endless.contains("without end"), "{endless}");
}

pub(super) async fn what_stays_is_listed_while_others_delete() {
    let world = World::start(Kind::CipherTrust);
    world!(world);
    let store = world.store();
    for i in 0..90 {
        world.plant(&format!("key-{i:02}"), "v").await;
    }
    // Listed newest first in pages of 20; the first entry goes away behind the reader, three times.
    world
        .settings(json!({"page": 20, "delete_while_listing": 3}))
        .await;
    let page = store.list("", None, 1000).await.unwrap();
    let listed: BTreeSet<_> = page.names.iter().map(|n| n.as_str().to_owned()).collect();
    let now = store.list("", None, 1000).await.unwrap();
    assert_eq!(now.names.len(), 87);
    for stayed in now.names {
        assert!(
            listed.contains(stayed.as_str()),
            "{} was lost",
            stayed.as_str()
        );
    }
}

pub(super) async fn disabled_objects_and_other_conflicts_are_told() {
    let world = World::start(Kind::Sdkms);
    world!(world);
    let store = world.store();
    store.create(&name("k"), value("v")).await.unwrap();
    world
        .settings(json!({"disabled": ["k"], "conflict": true}))
        .await;
    let disabled = reason(store.get(&name("k")).await);
    assert!(
        disabled.contains("'k'") && disabled.contains("disabled"),
        "{disabled}"
    );
    let conflict = reason(store.create(&name("new"), value("v")).await);
    assert!(conflict.contains("409"), "{conflict}");
    let taken = store.create(&name("k"), value("v")).await;
    assert!(matches!(taken, Err(StoreError::Exists)), "{taken:?}");
}

pub(super) async fn an_empty_refusal_is_no_absence() {
    let world = World::start(Kind::KeyControl);
    world!(world);
    let store = world.store();
    store.create(&name("k"), value("v")).await.unwrap();
    let empty = |of: &str| json!([{"match": of, "kind": "status", "status": 404, "body": "", "times": 1000}]);
    // A proxy that no longer knows the appliance.
    world.faults(empty("*")).await;
    assert!(!reason(store.get(&name("k")).await).is_empty());
    assert!(!reason(store.delete(&name("k")).await).is_empty());
    assert!(!reason(store.list("", None, 10).await).is_empty());
    // The appliance itself.
    world.faults(empty("POST /vault/1.0/CheckoutSecret/")).await;
    let hidden = store.get(&name("k")).await;
    assert!(matches!(hidden, Err(StoreError::NotFound)), "{hidden:?}");
}
