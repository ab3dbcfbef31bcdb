//! The `policy` section.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_kes_api::{AdminIdentity, IdentityName, Policy, PolicyName};

use super::read::{Reader, Section, Text};
use super::{ConfigError, PolicyConfig};

pub(super) fn read(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    admin: &AdminIdentity,
    proxies: &[IdentityName],
    is_of_older_format: bool,
) -> Result<BTreeMap<PolicyName, PolicyConfig>, ConfigError> {
    let mut policies = BTreeMap::new();
    let mut assigned: BTreeSet<IdentityName> = BTreeSet::new();
    for (name, place, node) in section.take_all() {
        let invalid = |place, why: String| {
            ConfigError::at(place, format!("kesconf: invalid policy '{name}': {why}"))
        };
        let policy_name =
            PolicyName::parse(name).map_err(|error| invalid(place, error.to_string()))?;
        let mut section = reader.section(&section.path_of(name), node)?;
        let mut allow = reader.texts(&mut section, "allow", false)?;
        // Called so until v0.14.
        allow.extend(reader.texts(&mut section, "paths", false)?);
        let deny = reader.texts(&mut section, "deny", false)?;
        let mut identities = BTreeSet::new();
        for Text { text, place } in reader.texts(&mut section, "identities", true)? {
            let identity =
                IdentityName::parse(text.trim()).map_err(|e| invalid(place, e.to_string()))?;
            if is_admin(admin, &identity) {
                return Err(invalid(
                    place,
                    format!("identity '{identity}' is already admin"),
                ));
            }
            if proxies.contains(&identity) {
                return Err(invalid(
                    place,
                    format!("identity '{identity}' is already a TLS proxy"),
                ));
            }
            if !assigned.insert(identity.clone()) {
                return Err(invalid(
                    place,
                    format!("identity '{identity}' is already assigned"),
                ));
            }
            if identity.identity().is_none() {
                let message =
                    format!("identity '{identity}' is no SHA-256 hash, so no client has it");
                reader.warn(place, message);
            }
            identities.insert(identity);
        }
        reader.finish(section);

        let of = |texts: &[Text]| texts.iter().map(|t| t.text.clone()).collect::<Vec<_>>();
        let mut policy = Policy::new(of(&allow), of(&deny));
        if is_of_older_format {
            policy = policy.of_older_format();
        }
        for suspicion in policy.suspicions() {
            let pattern = suspicion.pattern.as_str();
            let at = allow.iter().chain(&deny).find(|t| t.text == pattern);
            reader.warn(
                at.map_or(place, |t| t.place),
                format!("policy '{name}': {suspicion}"),
            );
        }
        policies.insert(policy_name, PolicyConfig { policy, identities });
    }
    Ok(policies)
}

/// Compared as text, as upstream does.
pub(super) fn is_admin(admin: &AdminIdentity, identity: &IdentityName) -> bool {
    admin.to_string() == identity.as_str()
}
