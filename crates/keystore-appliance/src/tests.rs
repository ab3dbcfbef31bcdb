//! The stores against fakes of the appliances (e2e/fakes), over HTTPS with an authority of their own.

mod claims;
mod world;

use strongroom_keystore::StoreError;

use crate::failure::Refusal;
use crate::rest::{Limits, Rest, repeats};

/// Each claim, made of each store.
macro_rules! of_each_store {
    ($($claim:ident),* $(,)?) => {
        mod ciphertrust {
            $(#[tokio::test] async fn $claim() { super::claims::$claim(super::world::Kind::CipherTrust).await })*
        }
        mod keycontrol {
            $(#[tokio::test] async fn $claim() { super::claims::$claim(super::world::Kind::KeyControl).await })*
        }
        mod sdkms {
            $(#[tokio::test] async fn $claim() { super::claims::$claim(super::world::Kind::Sdkms).await })*
        }
    };
}

of_each_store! {
    it_keeps_the_promises_of_a_key_store,
    it_opens_without_anybody_there_and_works_once_there_is,
    a_store_that_went_away_is_unreachable_and_comes_back,
    a_store_that_hangs_is_unreachable_in_time,
    an_answer_of_somebody_else_is_no_success_and_no_absence,
    errors_that_pass_are_outlasted_and_others_told,
    wrong_credentials_are_told_and_not_tried_without_end,
    secrets_are_in_no_error,
    a_create_whose_answer_was_lost_is_ours,
    a_create_that_may_or_may_not_have_worked_is_not_called_taken,
    a_delete_whose_answer_was_lost_is_done,
    a_listing_of_many_pages_ends_and_is_complete,
    foreign_entries_hurt_nobody_but_their_own_reader,
    only_the_named_authority_is_believed,
    an_examination_tells_the_step_that_fails,
}

/// Claims of the two that have tokens.
macro_rules! of_each_session {
    ($($claim:ident),* $(,)?) => {
        mod ciphertrust_tokens {
            $(#[tokio::test] async fn $claim() { super::claims::$claim(super::world::Kind::CipherTrust).await })*
        }
        mod keycontrol_tokens {
            $(#[tokio::test] async fn $claim() { super::claims::$claim(super::world::Kind::KeyControl).await })*
        }
    };
}

of_each_session! {
    a_token_is_renewed_before_it_ends,
    two_hundred_calls_with_a_revoked_token_make_one_login,
    a_missing_right_is_no_reason_to_log_in_again_and_again,
}

#[tokio::test]
async fn keycontrol_logs_in_again_when_a_renewal_is_refused() {
    claims::a_refused_renewal_is_followed_by_a_login().await;
}

#[tokio::test]
async fn keycontrol_and_sdkms_listings_that_never_advance_end_in_an_error() {
    claims::a_listing_that_never_advances_ends(world::Kind::KeyControl).await;
    claims::a_listing_that_never_advances_ends(world::Kind::Sdkms).await;
}

#[tokio::test]
async fn ciphertrust_lists_what_stays_while_others_delete() {
    claims::what_stays_is_listed_while_others_delete().await;
}

#[tokio::test]
async fn sdkms_objects_without_names_do_not_end_a_listing() {
    claims::objects_without_names_do_not_end_a_listing().await;
}

#[tokio::test]
async fn sdkms_tells_disabled_objects_and_other_conflicts() {
    claims::disabled_objects_and_other_conflicts_are_told().await;
}

#[tokio::test]
async fn keycontrol_says_that_nothing_is_there_only_where_the_box_can_be_seen() {
    claims::an_empty_refusal_is_no_absence().await;
}

#[test]
fn a_secret_that_an_appliance_repeats_in_part_is_noticed() {
    let secret: String = (0..400)
        .map(|n| char::from(b'a' + (n * n % 26) as u8))
        .collect();
    let said = Refusal::new(400, None, Some(&format!("bad value '{secret}'")));
    let said = said.message.unwrap();
    assert!(!said.contains(&secret), "it is cut");
    assert!(repeats(&said, &secret));
    assert!(repeats("the value abc is bad", "abc"));
    assert!(!repeats("permission denied", &secret));
    assert!(!repeats("anything", ""));
}

#[test]
fn endpoints_are_checked_before_a_credential_leaves() {
    let open = |endpoint: &str| Rest::open(endpoint, None, Limits::NORMAL);
    for good in [
        "https://hsm.example",
        "https://hsm.example:8443/",
        "https://proxy.example/kms",
        "http://127.0.0.1:8080",
        "http://localhost",
    ] {
        let rest = open(good).unwrap();
        assert_eq!(rest.endpoint(), good.trim_end_matches('/'));
    }
    assert_eq!(
        open("https://proxy.example/kms/")
            .unwrap()
            .url("/x")
            .as_str(),
        "https://proxy.example/kms/x"
    );
    for bad in [
        "",
        "hsm.example",
        "hsm.example:443",
        "ftp://hsm.example",
        "http://hsm.example",
        "https://user:pass-word@hsm.example",
        "https://hsm.example/?a=b",
    ] {
        let Err(StoreError::Other { reason, .. }) = open(bad) else {
            panic!("{bad} is no endpoint");
        };
        assert!(reason.starts_with("endpoint '"), "{reason}");
        assert!(!reason.contains("pass-word"), "{reason}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| Rest::open("https://x", Some(path), Limits::NORMAL);
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for path in [empty.as_path(), folder.path(), &folder.path().join("none")] {
        let Err(StoreError::Other { reason, .. }) = open(path) else {
            panic!("nothing to believe in {}", path.display());
        };
        assert!(reason.contains(&path.display().to_string()), "{reason}");
    }
}
