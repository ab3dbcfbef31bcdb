//! Which place a configuration means: what must stay the same for a value that was taken there to be put back there.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    Aws, Azure, CipherTrust, Gcp, KeyControl, KeystoreConfig, KvVersion, Sdkms, Vault, VaultTransit,
};

impl KeystoreConfig {
    /// SHA-256 in hex over all settings that say where keys lie and how they are wrapped.
    ///
    /// Two configurations with the same digest write to the same place. Credentials and who they are of, certificates and
    /// intervals are left out: they may be renewed in between, and a digest of a password would help to guess it.
    #[must_use]
    pub fn place(&self) -> String {
        let mut place = Place::default();
        self.describe_to(&mut place);
        place.digest()
    }

    fn describe_to(&self, place: &mut Place) {
        match self {
            Self::Memory => place.kind("memory"),
            Self::Fs { path } => {
                place.kind("fs");
                place.path("path", path);
            }
            Self::Vault(config) => vault(config, place),
            Self::Aws(config) => aws(config, place),
            Self::Gcp(config) => gcp(config, place),
            Self::Azure(config) => azure(config, place),
            Self::CipherTrust(config) => cipher_trust(config, place),
            Self::KeyControl(config) => key_control(config, place),
            Self::Sdkms(config) => sdkms(config, place),
        }
    }
}

// Each takes its struct apart in full: a setting that is added later does not compile until it is placed.

fn vault(config: &Vault, place: &mut Place) {
    let Vault {
        endpoint,
        engine,
        version,
        namespace,
        prefix,
        transit,
        login: _,
        login_namespace,
        tls: _,
        ping: _,
    } = config;
    place.kind("vault");
    place.text("endpoint", endpoint);
    place.text("engine", engine);
    place.text(
        "version",
        match version {
            KvVersion::V1 => "v1",
            KvVersion::V2 => "v2",
        },
    );
    place.maybe("namespace", namespace.as_deref());
    place.maybe("prefix", prefix.as_deref());
    if let Some(VaultTransit { engine, key }) = transit {
        place.text("transit.engine", engine);
        place.text("transit.key", key);
    }
    place.maybe("login_namespace", login_namespace.as_deref());
}

fn aws(config: &Aws, place: &mut Place) {
    let Aws {
        endpoint,
        region,
        kms_key,
        credentials: _,
    } = config;
    place.kind("aws");
    place.text("endpoint", endpoint);
    place.text("region", region);
    place.maybe("kms_key", kms_key.as_deref());
}

fn gcp(config: &Gcp, place: &mut Place) {
    let Gcp {
        project_id,
        endpoint,
        scopes: _,
        credentials: _,
    } = config;
    place.kind("gcp");
    place.text("project_id", project_id);
    place.maybe("endpoint", endpoint.as_deref());
}

fn azure(config: &Azure, place: &mut Place) {
    let Azure {
        endpoint,
        credentials: _,
        ca: _,
    } = config;
    place.kind("azure");
    place.text("endpoint", endpoint);
}

fn cipher_trust(config: &CipherTrust, place: &mut Place) {
    let CipherTrust {
        endpoint,
        token: _,
        domain,
        ca: _,
    } = config;
    place.kind("ciphertrust");
    place.text("endpoint", endpoint);
    place.maybe("domain", domain.as_deref());
}

fn key_control(config: &KeyControl, place: &mut Place) {
    let KeyControl {
        endpoint,
        vault_id,
        box_id,
        username: _,
        password: _,
        ca: _,
    } = config;
    place.kind("keycontrol");
    place.text("endpoint", endpoint);
    place.text("vault_id", vault_id);
    place.text("box_id", box_id);
}

fn sdkms(config: &Sdkms, place: &mut Place) {
    let Sdkms {
        endpoint,
        group_id,
        key: _,
        ca: _,
    } = config;
    place.kind("sdkms");
    place.text("endpoint", endpoint);
    place.maybe("group_id", group_id.as_deref());
}

/// The settings, one after the other, each with its length: no value can pass for two.
#[derive(Default)]
struct Place(Vec<u8>);

impl Place {
    fn bytes(&mut self, name: &str, value: &[u8]) {
        let head = format!("{name} {}:", value.len());
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    fn kind(&mut self, kind: &str) {
        self.text("kind", kind);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.bytes(name, value.as_bytes());
    }

    fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A relative path is another one elsewhere, and a link may be turned to another directory.
    fn path(&mut self, name: &str, path: &Path) {
        use std::os::unix::ffi::OsStrExt as _;
        let whole = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        let whole = whole.unwrap_or_else(|_| path.to_owned());
        self.bytes(name, whole.as_os_str().as_bytes());
    }

    fn digest(&self) -> String {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        let digest = context.finish();
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests;
