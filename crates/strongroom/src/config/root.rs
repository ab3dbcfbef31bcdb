//! The root user's name and password.

use anyhow::{Result, anyhow, bail};
use strongroom_access::RootCredentials;

use super::environment::{Environment, Places};

/// Names that container images of MinIO set for files that may not exist.
const PRESET_FILES: &[&str] = &["access_key", "secret_key"];
const NEW: [&str; 2] = ["MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"];
const OLD: [&str; 2] = ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"];

pub(super) fn read(env: &Environment, warnings: &mut Vec<String>) -> Result<RootCredentials> {
    let [user, password] = pair(env, NEW)?;
    let ([user_name, password_name], user, password) = match (user, password) {
        (None, None) => {
            let [user, password] = pair(env, OLD)?;
            if user.is_some() {
                warnings.push(format!(
                    "{} is an old name: use {} and {}",
                    OLD[0], NEW[0], NEW[1]
                ));
            }
            (OLD, user, password)
        }
        (user, password) => (NEW, user, password),
    };
    let (user, password) = match (user, password) {
        (Some(user), Some(password)) => (user, password),
        (Some(_), None) => bail!("{user_name} is set and {password_name} is not: set both"),
        (None, Some(_)) => bail!("{password_name} is set and {user_name} is not: set both"),
        (None, None) => bail!(
            "there are no root credentials: set {} and {} (`strongroom dev` makes them by itself)",
            NEW[0],
            NEW[1]
        ),
    };
    if user == "minioadmin" && password == "minioadmin" {
        warnings.push(
            "the root credentials are minioadmin:minioadmin, which everybody tries first: change them"
                .to_owned(),
        );
    }
    RootCredentials::new(user, password)
        .map_err(|error| anyhow!("{user_name} and {password_name} cannot be used: {error}"))
}

/// User and password under these names, from a file that `…_FILE` names where there is one. The environment file has the last word.
fn pair(env: &Environment, names: [&str; 2]) -> Result<[Option<String>; 2]> {
    let mut values = [None, None];
    for (value, name) in values.iter_mut().zip(names) {
        let plain = env.get(name).map(str::to_owned);
        *value = if env.is_from_file(name) {
            plain
        } else {
            let file = format!("{name}_FILE");
            env.value_in_file(&file, Places::SecretThenPath, PRESET_FILES)?
                .or(plain)
        };
    }
    Ok(values)
}
