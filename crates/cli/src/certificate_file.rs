//! What people hand to `kes identity of`: an API key, a certificate file, a private key file.

use std::fs;

use anyhow::{Context as _, bail};
use strongroom_kes_api::identity::of_peer;
use strongroom_kes_client::{ApiKey, Identity};
use strongroom_transport::certificate;
use zeroize::Zeroizing;

use crate::session::private_key;
use crate::shell::Shell;

/// What an argument turned out to be.
#[derive(Debug)]
pub(crate) enum Subject {
    /// Identity of an API key or certificate.
    Identity(Identity),
    /// An Ed25519 private key.
    PrivateKey(ApiKey),
}

/// Reads an API key, else the file of that name.
pub(crate) fn read(argument: &str, shell: &Shell<'_>) -> anyhow::Result<Subject> {
    if argument.starts_with("kes:v1:") {
        return Ok(Subject::Identity(ApiKey::parse(argument)?.identity()));
    }
    let pem = match fs::read(argument) {
        Ok(pem) => Zeroizing::new(pem),
        // Not a file: perhaps an API key without its prefix.
        Err(error) => match ApiKey::parse(argument) {
            Ok(key) => return Ok(Subject::Identity(key.identity())),
            Err(_) => return Err(error).with_context(|| format!("{argument} cannot be read")),
        },
    };
    let certificates = certificate::certificates(&pem).with_context(|| argument.to_owned())?;
    if !certificates.is_empty() {
        // A lone CA certificate has an identity too, though no server will take it for a client's.
        let identity = match (certificates.as_slice(), of_peer(&certificates)) {
            (_, Ok(peer)) => peer.identity,
            ([only], Err(_)) => Identity::of_certificate(only)?,
            (_, Err(error)) => bail!("{argument}: {error}"),
        };
        return Ok(Subject::Identity(identity));
    }
    let key = private_key(argument.as_ref(), &pem, shell)?;
    let key = ApiKey::from_pkcs8_der(key.secret_der())
        .with_context(|| format!("{argument} holds no Ed25519 key"))?;
    Ok(Subject::PrivateKey(key))
}
