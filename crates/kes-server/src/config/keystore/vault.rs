//! `keystore.vault`.

use std::time::Duration;

use strongroom_keystore::KeystoreConfig;
use strongroom_keystore::config::{
    ClientTls, Jwt, KvVersion, SecretText, Vault, VaultLogin, VaultTransit,
};

use super::Store;
use crate::config::ConfigError;

/// How often the seal state is asked for, by the documentation. (Upstream's code has 15 s.)
const PING: Duration = Duration::from_secs(10);

pub(super) fn read(vault: &mut Store<'_, '_, '_>) -> Result<KeystoreConfig, ConfigError> {
    // `address` and `name` until v0.7.
    let endpoint = vault.needs(&["endpoint", "address"])?;
    let engine = vault.may_or("engine", "kv")?;
    let version = match vault.may(&["version"])?.as_deref() {
        None | Some("v1" | "V1") => KvVersion::V1,
        Some("v2" | "V2") => KvVersion::V2,
        Some(other) => {
            return Err(vault.invalid(&format!("invalid engine version '{other}'; write v1 or v2")));
        }
    };
    let namespace = vault.may(&["namespace"])?;
    let prefix = vault.may(&["prefix", "name"])?;
    let transit = vault.within("transit", transit)?;
    let approle = vault.within("approle", approle)?;
    let kubernetes = vault.within("kubernetes", kubernetes)?;
    let (login, login_namespace) = match (approle, kubernetes) {
        (Some(login), None) | (None, Some(login)) => login,
        (None, None) => {
            return Err(
                vault.invalid("no login specified; fill in the section approle or kubernetes")
            );
        }
        (Some(_), Some(_)) => {
            return Err(
                vault.invalid("more than one login specified; leave one of approle and kubernetes")
            );
        }
    };
    let tls = vault.within("tls", |tls| {
        Ok(ClientTls {
            key: tls.may_path("key")?,
            cert: tls.may_path("cert")?,
            ca: tls.may_path("ca")?,
        })
    })?;
    if tls.key.is_some() != tls.cert.is_some() {
        return Err(vault.invalid("tls.key and tls.cert go together"));
    }
    let ping = vault.within("status", |status| {
        status.reader.duration(&mut status.section, "ping")
    })?;
    Ok(KeystoreConfig::Vault(Box::new(Vault {
        endpoint,
        engine,
        version,
        namespace,
        prefix,
        transit,
        login,
        login_namespace,
        tls,
        ping: ping.filter(|p| !p.is_zero()).unwrap_or(PING),
    })))
}

/// The documentation's sample lists it blank. A name of the engine alone would leave keys unwrapped without a word.
fn transit(section: &mut Store<'_, '_, '_>) -> Result<Option<VaultTransit>, ConfigError> {
    let engine = section.may(&["engine"])?;
    let key = section.may(&["key"])?;
    match (engine, key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(section.invalid("no transit key specified")),
        (engine, Some(key)) => Ok(Some(VaultTransit {
            engine: engine.unwrap_or_else(|| "transit".to_owned()),
            key,
        })),
    }
}

/// A login, and the namespace that it has of its own.
type Login = (VaultLogin, Option<String>);

/// The documentation's sample lists both logins; one without credentials is none.
fn approle(section: &mut Store<'_, '_, '_>) -> Result<Option<Login>, ConfigError> {
    let engine = section.may_or("engine", "approle")?;
    let namespace = section.may(&["namespace"])?;
    let id = section.may(&["id"])?;
    let secret = section.may_secret(&["secret"])?;
    match (id, secret) {
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => Ok(Some((
            VaultLogin::AppRole { engine, id, secret },
            namespace,
        ))),
        (None, _) => Err(section.invalid("no approle id specified")),
        (_, None) => Err(section.invalid("no approle secret specified")),
    }
}

fn kubernetes(section: &mut Store<'_, '_, '_>) -> Result<Option<Login>, ConfigError> {
    let engine = section.may_or("engine", "kubernetes")?;
    let namespace = section.may(&["namespace"])?;
    let role = section.may(&["role"])?;
    let jwt = section.may_secret(&["jwt"])?;
    match (role, jwt) {
        (None, None) => Ok(None),
        (Some(role), Some(jwt)) => {
            let jwt = token(jwt);
            Ok(Some((
                VaultLogin::Kubernetes { engine, role, jwt },
                namespace,
            )))
        }
        (None, _) => Err(section.invalid("no kubernetes role specified")),
        (_, None) => Err(section.invalid("no kubernetes jwt specified")),
    }
}

/// A token is base64url with dots and holds no slash (RFC 7515 §3.1).
fn token(text: SecretText) -> Jwt {
    let trimmed = text.expose().trim();
    if trimmed.contains(['/', '\\']) {
        Jwt::File(trimmed.into())
    } else {
        Jwt::Token(SecretText::new(trimmed.to_owned()))
    }
}
