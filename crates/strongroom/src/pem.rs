//! Private keys whose PEM is encrypted.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use strongroom_transport::certificate;
use zeroize::Zeroizing;

/// The text as it is, or, where there is a password, the key opened with it and written without.
pub(crate) fn decrypted(
    text: Zeroizing<Vec<u8>>,
    password: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>> {
    if password.is_none() {
        return Ok(text);
    }
    let key = certificate::private_key(&text, password)?;
    let label = match &key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let body = Zeroizing::new(STANDARD.encode(key.secret_der()));
    let text = format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        *body
    );
    Ok(Zeroizing::new(text.into_bytes()))
}
