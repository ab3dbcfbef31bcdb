//! Answers that no healthy Secret Manager gives, and a listing of several pages.

use strongroom_keystore::contract::{name, value};
use strongroom_keystore::{KeyStore as _, StoreError};

use crate::script::{error, serve};
use crate::store;

#[tokio::test]
async fn a_listing_follows_the_tokens_to_the_end() {
    let (endpoint, requests) = serve(|line| {
        let page = |names: &str, next: &str| {
            let secrets: Vec<String> = names
                .split(' ')
                .map(|n| format!(r#"{{"name":"projects/1234/secrets/{n}"}}"#))
                .collect();
            (
                200,
                format!(
                    r#"{{"secrets":[{}],"nextPageToken":"{next}"}}"#,
                    secrets.join(",")
                ),
            )
        };
        if line.contains("pageToken=two") {
            page("a no.key", "three")
        } else if line.contains("pageToken=three") {
            page("b", "")
        } else {
            page("z c", "two")
        }
    })
    .await;
    let store = store(&endpoint, "p").await;
    let page = store.list("", None, 10).await.unwrap();
    let names: Vec<&str> = page.names.iter().map(|n| n.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "z"]);
    let requests = requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 3);
    assert!(
        requests.iter().all(|line| line.contains("pageSize=250")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_token_that_never_ends_is_an_error() {
    let (endpoint, _) = serve(|_| (200, r#"{"nextPageToken":"again"}"#.to_owned())).await;
    let error = store(&endpoint, "p").await.list("", None, 1).await;
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn who_made_a_later_version_lost_and_takes_it_back() {
    let (endpoint, requests) = serve(|line| {
        if line.contains(":access") {
            error(404, "NOT_FOUND")
        } else if line.contains(":addVersion") || line.contains(":destroy") {
            (
                200,
                r#"{"name":"projects/1/secrets/k/versions/2"}"#.to_owned(),
            )
        } else {
            error(409, "ALREADY_EXISTS")
        }
    })
    .await;
    let created = store(&endpoint, "p")
        .await
        .create(&name("k"), value("v"))
        .await;
    assert!(matches!(created, Err(StoreError::Exists)), "{created:?}");
    let last = requests.lock().unwrap().last().cloned().unwrap();
    assert!(last.contains("/versions/2:destroy"), "{last}");
}

#[tokio::test]
async fn who_may_not_take_a_surplus_version_back_still_lost() {
    let (endpoint, _) = serve(|line| {
        if line.contains(":access") {
            error(404, "NOT_FOUND")
        } else if line.contains(":addVersion") {
            (
                200,
                r#"{"name":"projects/1/secrets/k/versions/3"}"#.to_owned(),
            )
        } else if line.contains(":destroy") {
            error(403, "PERMISSION_DENIED")
        } else {
            error(409, "ALREADY_EXISTS")
        }
    })
    .await;
    let created = store(&endpoint, "p")
        .await
        .create(&name("k"), value("v"))
        .await;
    assert!(matches!(created, Err(StoreError::Exists)), "{created:?}");
}

#[tokio::test]
async fn a_secret_that_vanishes_while_it_is_created_is_told_in_the_end() {
    let (endpoint, requests) = serve(|line| {
        if line.contains(":addVersion") {
            error(404, "NOT_FOUND")
        } else {
            (200, r#"{"name":"projects/1/secrets/k"}"#.to_owned())
        }
    })
    .await;
    let error = store(&endpoint, "p")
        .await
        .create(&name("k"), value("v"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("'k' is being deleted"),
        "{error}"
    );
    assert_eq!(
        requests.lock().unwrap().len(),
        6,
        "three rounds of two calls"
    );
}

#[tokio::test]
async fn refusals_name_the_key_googles_code_and_what_to_check() {
    for (code, status, hint) in [
        (403, "PERMISSION_DENIED", "secretmanager.versions.add"),
        (401, "UNAUTHENTICATED", "clock"),
        (429, "RESOURCE_EXHAUSTED", "quota"),
        (400, "INVALID_ARGUMENT", "as scripted"),
    ] {
        let (endpoint, _) = serve(move |_| error(code, status)).await;
        let failed = store(&endpoint, "p").await.get(&name("the-key")).await;
        let Err(StoreError::Other { reason, .. }) = failed else {
            panic!("{status}: {failed:?}");
        };
        for part in ["the-key", status, hint] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
    }
}

#[tokio::test]
async fn an_overloaded_service_is_asked_again_and_then_unreachable() {
    for body in [
        r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
        "<html>",
    ] {
        let (endpoint, requests) = serve(move |_| (503, body.to_owned())).await;
        let failed = store(&endpoint, "p").await.get(&name("k")).await;
        assert!(
            matches!(failed, Err(StoreError::Unreachable { .. })),
            "{failed:?}"
        );
        assert!(requests.lock().unwrap().len() > 1);
    }
}

#[tokio::test]
async fn a_value_is_never_added_twice() {
    let (endpoint, requests) = serve(|line| {
        if line.contains(":addVersion") {
            error(503, "UNAVAILABLE")
        } else {
            (200, r#"{"name":"projects/1/secrets/k"}"#.to_owned())
        }
    })
    .await;
    let failed = store(&endpoint, "p")
        .await
        .create(&name("k"), value("v"))
        .await;
    assert!(
        matches!(failed, Err(StoreError::Unreachable { .. })),
        "{failed:?}"
    );
    let adds = |r: &&String| r.contains(":addVersion");
    assert_eq!(requests.lock().unwrap().iter().filter(adds).count(), 1);
}

#[tokio::test]
async fn garbage_is_told_as_what_it_is() {
    for (code, body) in [
        (200, "<html>hello</html>"),
        (404, "<html>nginx</html>"),
        (200, "{\"payload\":7}"),
    ] {
        let (endpoint, _) = serve(move |_| (code, body.to_owned())).await;
        let failed = store(&endpoint, "p").await.get(&name("k")).await;
        let Err(StoreError::Other { reason, .. }) = failed else {
            panic!("{code} {body}: {failed:?}");
        };
        assert!(
            reason.contains("no answer of Google Secret Manager"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_value_with_a_wrong_checksum_is_not_used() {
    let answer =
        r#"{"name":"projects/1/secrets/k/versions/1","payload":{"data":"dg==","dataCrc32c":"1"}}"#;
    let (endpoint, _) = serve(move |_| (200, answer.to_owned())).await;
    let error = store(&endpoint, "p")
        .await
        .get(&name("k"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn an_unknown_project_is_told_at_the_start() {
    let (endpoint, _) = serve(|_| error(404, "NOT_FOUND")).await;
    let error = store(&endpoint, "p").await.connect().await.unwrap_err();
    assert!(error.to_string().contains("project 'p'"), "{error}");
}

#[tokio::test]
async fn an_unknown_project_is_no_missing_key_where_none_was_asked_for() {
    let (endpoint, _) = serve(|_| error(404, "NOT_FOUND")).await;
    let store = store(&endpoint, "p").await;
    let created = store.create(&name("k"), value("v")).await.unwrap_err();
    let listed = store.list("", None, 10).await.unwrap_err();
    for failed in [created, listed] {
        let StoreError::Other { reason, .. } = &failed else {
            panic!("{failed:?}");
        };
        assert!(reason.contains("does not know project 'p'"), "{reason}");
    }
}

#[tokio::test]
async fn any_http_answer_counts_as_reachable() {
    let (endpoint, requests) = serve(|_| (403, String::new())).await;
    store(&endpoint, "p").await.status().await.unwrap();
    assert_eq!(*requests.lock().unwrap(), ["GET /"]);
}

#[tokio::test]
async fn an_examination_tells_a_missing_right_apart() {
    let (endpoint, _) = serve(|line| {
        if line.contains(":access") {
            error(403, "PERMISSION_DENIED")
        } else {
            (200, "{}".to_owned())
        }
    })
    .await;
    let findings = store(&endpoint, "p").await.examine().await;
    let bad: Vec<&str> = findings
        .iter()
        .filter(|f| f.outcome.is_err())
        .map(|f| f.step.as_str())
        .collect();
    assert_eq!(bad, ["read secrets"], "{findings:?}");
}
