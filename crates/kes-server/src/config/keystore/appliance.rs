//! `keystore.gemalto.keysecure`, `keystore.entrust.keycontrol`, `keystore.fortanix.sdkms`.

use strongroom_keystore::KeystoreConfig;
use strongroom_keystore::config::{CipherTrust, KeyControl, Sdkms};

use super::Store;
use crate::config::ConfigError;

pub(super) fn ciphertrust(store: &mut Store<'_, '_, '_>) -> Result<KeystoreConfig, ConfigError> {
    let endpoint = store.needs(&["endpoint"])?;
    let (token, domain) = store.within("credentials", |section| {
        Ok((section.needs_secret("token")?, section.may(&["domain"])?))
    })?;
    Ok(KeystoreConfig::CipherTrust(Box::new(CipherTrust {
        endpoint,
        token,
        domain,
        ca: store.may_ca()?,
    })))
}

pub(super) fn keycontrol(store: &mut Store<'_, '_, '_>) -> Result<KeystoreConfig, ConfigError> {
    let endpoint = store.needs(&["endpoint"])?;
    let vault_id = store.needs(&["vault_id"])?;
    let box_id = store.needs(&["box_id"])?;
    let (username, password) = store.within("credentials", |section| {
        Ok((
            section.needs(&["username"])?,
            section.needs_secret("password")?,
        ))
    })?;
    Ok(KeystoreConfig::KeyControl(Box::new(KeyControl {
        endpoint,
        vault_id,
        box_id,
        username,
        password,
        ca: store.may_ca()?,
    })))
}

pub(super) fn sdkms(store: &mut Store<'_, '_, '_>) -> Result<KeystoreConfig, ConfigError> {
    let endpoint = store.needs(&["endpoint"])?;
    let group_id = store.may(&["group_id"])?;
    let key = store.within("credentials", |section| section.needs_secret("key"))?;
    Ok(KeystoreConfig::Sdkms(Box::new(Sdkms {
        endpoint,
        group_id,
        key,
        ca: store.may_ca()?,
    })))
}
