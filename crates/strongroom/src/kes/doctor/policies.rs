//! The admin and the policies: who may do what, and what does nothing.

use std::collections::BTreeSet;

use strongroom_kes_api::policy::Pattern;
use strongroom_kes_api::{AdminIdentity, path};
use strongroom_kes_server::Config;
use strongroom_kes_server::config::PolicyConfig;

use super::report::{Report, counted};

const ADMIN: &str = "admin";

/// All that can be asked of a server.
const ROUTES: [&str; 21] = [
    path::VERSION,
    path::READY,
    path::STATUS,
    path::METRICS,
    path::API,
    path::KEY_CREATE,
    path::KEY_IMPORT,
    path::KEY_DESCRIBE,
    path::KEY_DELETE,
    path::KEY_LIST,
    path::KEY_GENERATE,
    path::KEY_ENCRYPT,
    path::KEY_DECRYPT,
    path::KEY_BULK_DECRYPT,
    path::KEY_HMAC,
    path::POLICY_DESCRIBE,
    path::POLICY_READ,
    path::POLICY_LIST,
    path::IDENTITY_DESCRIBE,
    path::IDENTITY_LIST,
    path::IDENTITY_SELF_DESCRIBE,
];
const LOG_ROUTES: [&str; 4] = [
    path::LOG_ERROR,
    path::LOG_AUDIT,
    path::LOG_ERROR_TRACE,
    path::LOG_AUDIT_TRACE,
];

pub(super) fn look(config: &Config, report: &mut Report) {
    admin(config, report);
    for (name, policy) in &config.policies {
        let step = format!("policy {name}");
        let before = report.steps();
        identities(&step, policy, config, report);
        patterns(&step, policy, report);
        if report.steps() == before {
            report.good(
                step,
                format!(
                    "{} for {}",
                    counted(
                        policy.policy.allow.len() + policy.policy.deny.len(),
                        "pattern"
                    ),
                    counted(policy.identities.len(), "identity"),
                ),
            );
        }
    }
}

fn admin(config: &Config, report: &mut Report) {
    match &config.admin {
        AdminIdentity::Identity(identity) => report.good(ADMIN, format!("{identity}")),
        AdminIdentity::Disabled(_) if config.policies.is_empty() => report.bad(
            ADMIN,
            "there is no admin and no policy, so nobody may do anything; name an identity under 'admin.identity' or write a policy",
        ),
        AdminIdentity::Disabled(text) if matches!(text.as_str(), "_" | "disabled" | "") => {
            report.good(ADMIN, "switched off: only policies grant anything");
        }
        AdminIdentity::Disabled(_) => report.warn(
            ADMIN,
            "'admin.identity' is no identity (64 hexadecimal digits, as 'kes identity of FILE' prints them), so there is no admin",
        ),
    }
}

fn identities(step: &str, policy: &PolicyConfig, config: &Config, report: &mut Report) {
    if policy.identities.is_empty() {
        report.warn(step, "it is for nobody: no identity is listed under it");
    }
    for name in &policy.identities {
        match name.identity() {
            None => report.warn(
                step,
                format!("'{name}' is no identity (64 hexadecimal digits, as 'kes identity of FILE' prints them) and matches nobody"),
            ),
            Some(identity) if config.admin.is(&identity) => report.warn(
                step,
                format!("'{name}' is the admin, who may do everything in any case; the policy does not limit it"),
            ),
            Some(_) => {}
        }
    }
}

fn patterns(step: &str, policy: &PolicyConfig, report: &mut Report) {
    let (allow, deny) = (&policy.policy.allow, &policy.policy.deny);
    if allow.is_empty() {
        report.warn(step, "it allows nothing");
    }
    let mut seen = BTreeSet::new();
    for pattern in allow.iter().chain(deny) {
        if !seen.insert(pattern) {
            report.warn(step, format!("pattern '{pattern}' is there twice"));
        }
    }
    // What hardly means what it says was told when the file was read.
    let told: BTreeSet<Pattern> = policy
        .policy
        .suspicions()
        .into_iter()
        .map(|s| s.pattern)
        .collect();
    for pattern in allow
        .iter()
        .chain(deny)
        .filter(|pattern| !told.contains(pattern))
    {
        if !reaches_a_route(pattern) {
            report.warn(
                step,
                format!("pattern '{pattern}' matches no request that this server knows"),
            );
        }
    }
    for pattern in allow {
        if let Some(denied) = deny.iter().find(|deny| covers(deny, pattern)) {
            report.warn(
                step,
                format!("pattern '{pattern}' allows nothing, since '{denied}' denies all of it"),
            );
        }
    }
}

/// Can any request match? A route that ends in a slash takes a name.
fn reaches_a_route(pattern: &Pattern) -> bool {
    let text = pattern.as_str();
    let (literal, is_prefix) = match text.find(['*', '?', '[']) {
        Some(at) => (&text[..at], true),
        None => (text, false),
    };
    ROUTES.iter().chain(&LOG_ROUTES).any(|route| {
        let takes_name = route.ends_with('/');
        (is_prefix && route.starts_with(literal))
            || (takes_name
                && literal.starts_with(route)
                && (is_prefix || literal.len() > route.len()))
            || *route == literal
    })
}

/// Does the first match all that the second does?
fn covers(deny: &Pattern, allow: &Pattern) -> bool {
    let (deny, allow) = (deny.as_str(), allow.as_str());
    match deny.strip_suffix('*') {
        Some(prefix) => allow.trim_end_matches('*').starts_with(prefix),
        None => deny == allow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_reach_no_route_are_known() {
        for (pattern, is_alive) in [
            ("/v1/key/create/*", true),
            ("/v1/key/create/app", true),
            ("/v1/key/create/", true),
            ("/v1/*", true),
            ("*", true),
            ("/v1/status", true),
            ("/v1/log/audit", true),
            ("/v1/key/?reate/x", true),
            ("/v1/statu", false),
            ("/v1/keys/create/*", false),
            ("/v2/*", false),
            ("/v1/status/x", false),
        ] {
            assert_eq!(
                reaches_a_route(&Pattern::new(pattern)),
                is_alive,
                "{pattern}"
            );
        }
    }
}
