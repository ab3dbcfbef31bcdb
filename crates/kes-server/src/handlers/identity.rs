//! Identities: the admin, and those that have a policy.

use std::collections::BTreeSet;

use strongroom_kes_api::body::{IdentityInfo, IdentityPage, SelfInfo};
use strongroom_kes_api::name::PAGE_NAMES_MAX;
use strongroom_kes_api::{IdentityName, KesError, ListPattern};

use super::policy::patterns;
use crate::reply::Reply;
use crate::serve::Call;

pub(crate) fn describe(call: &Call<'_>) -> Result<Reply, KesError> {
    let name = IdentityName::parse(call.argument)?;
    let state = call.state;
    let created_at = Some(state.loaded_at);
    if name
        .identity()
        .is_some_and(|identity| state.config.admin.is(&identity))
    {
        return Ok(Reply::json(&IdentityInfo {
            admin: true,
            policy: None,
            created_at,
            created_by: None,
        }));
    }
    let policy = state
        .config
        .policies
        .iter()
        .find(|(_, p)| p.identities.contains(&name));
    let (policy, _) = policy.ok_or(KesError::IDENTITY_NOT_FOUND)?;
    Ok(Reply::json(&IdentityInfo {
        admin: false,
        policy: Some(policy.to_string()),
        created_at,
        created_by: state.creator(),
    }))
}

/// An admin that is no hash is nobody, and not listed.
pub(crate) fn list(call: &Call<'_>) -> Result<Reply, KesError> {
    let pattern = ListPattern::parse(call.argument)?;
    let config = &call.state.config;
    let assigned = config
        .policies
        .values()
        .flat_map(|p| &p.identities)
        .map(ToString::to_string);
    let admin = config.admin.identity().map(|identity| identity.to_string());
    let (identities, continue_at) = pattern.page(assigned.chain(admin), PAGE_NAMES_MAX);
    Ok(Reply::json(&IdentityPage {
        identities,
        continue_at,
    }))
}

pub(crate) fn describe_self(call: &Call<'_>) -> Result<Reply, KesError> {
    let state = call.state;
    let identity = call.permit.identity().ok_or(KesError::IDENTITY_NOT_FOUND)?;
    let created_at = Some(state.loaded_at);
    if state.config.admin.is(&identity) {
        return Ok(Reply::json(&SelfInfo {
            identity: identity.to_string(),
            admin: true,
            policy: None,
            created_at,
            created_by: None,
            allow: BTreeSet::new(),
            deny: BTreeSet::new(),
        }));
    }
    let (name, policy) = state
        .policy_of(&identity)
        .ok_or(KesError::IDENTITY_NOT_FOUND)?;
    Ok(Reply::json(&SelfInfo {
        identity: identity.to_string(),
        admin: false,
        policy: Some(name.to_string()),
        created_at,
        created_by: state.creator(),
        allow: patterns(&policy.policy.allow),
        deny: patterns(&policy.policy.deny),
    }))
}
