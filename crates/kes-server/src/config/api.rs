//! The `api` section: deviations of single routes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::read::{Reader, Section};
use super::{ConfigError, SKIP_AUTH_ROUTES};
use crate::routes;

/// How one route deviates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApiSettings {
    /// No identity and no policy are asked for.
    pub skip_auth: bool,
    /// Instead of the route's own.
    pub timeout: Option<Duration>,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
) -> Result<BTreeMap<&'static str, ApiSettings>, ConfigError> {
    let mut all = BTreeMap::new();
    for (name, place, node) in section.take_all() {
        let Some(route) = routes::named(name) else {
            return Err(ConfigError::at(
                place,
                format!(
                    "kesconf: invalid api config: '{name}' is no route; write it as in '/v1/api', with its final '/'"
                ),
            ));
        };
        let mut section = reader.section(&section.path_of(name), node)?;
        let skip_auth = reader.flag(&mut section, "skip_auth")?;
        if skip_auth && !SKIP_AUTH_ROUTES.contains(&route) {
            let allowed = SKIP_AUTH_ROUTES.join(", ");
            return Err(ConfigError::at(
                place,
                format!(
                    "kesconf: invalid api config: '{name}' must not skip authentication; only {allowed} may"
                ),
            ));
        }
        let timeout = reader
            .duration(&mut section, "timeout")?
            .filter(|t| !t.is_zero());
        reader.finish(section);
        all.insert(route, ApiSettings { skip_auth, timeout });
    }
    Ok(all)
}
