//! Policies, as the configuration has them.

use std::collections::BTreeSet;

use strongroom_kes_api::body::{NamePage, PolicyDocument, PolicyInfo};
use strongroom_kes_api::name::PAGE_NAMES_MAX;
use strongroom_kes_api::policy::Pattern;
use strongroom_kes_api::{KesError, ListPattern, PolicyName};

use crate::config::PolicyConfig;
use crate::reply::Reply;
use crate::serve::Call;

fn find<'c>(call: &'c Call<'_>) -> Result<(PolicyName, &'c PolicyConfig), KesError> {
    let name = PolicyName::parse(call.argument)?;
    let policy = call
        .state
        .config
        .policies
        .get(&name)
        .ok_or(KesError::POLICY_NOT_FOUND)?;
    Ok((name, policy))
}

pub(crate) fn describe(call: &Call<'_>) -> Result<Reply, KesError> {
    let (name, _) = find(call)?;
    Ok(Reply::json(&PolicyInfo {
        name: name.to_string(),
        created_at: Some(call.state.loaded_at),
        created_by: call.state.creator(),
    }))
}

pub(crate) fn read(call: &Call<'_>) -> Result<Reply, KesError> {
    let (name, policy) = find(call)?;
    Ok(Reply::json(&PolicyDocument {
        name: name.to_string(),
        allow: patterns(&policy.policy.allow),
        deny: patterns(&policy.policy.deny),
        created_at: Some(call.state.loaded_at),
        created_by: call.state.creator(),
    }))
}

pub(crate) fn list(call: &Call<'_>) -> Result<Reply, KesError> {
    let pattern = ListPattern::parse(call.argument)?;
    let names = call.state.config.policies.keys().map(ToString::to_string);
    let (names, continue_at) = pattern.page(names, PAGE_NAMES_MAX);
    Ok(Reply::json(&NamePage { names, continue_at }))
}

pub(super) fn patterns(patterns: &[Pattern]) -> BTreeSet<String> {
    patterns.iter().map(ToString::to_string).collect()
}
