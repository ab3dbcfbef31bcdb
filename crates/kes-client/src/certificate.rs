//! Self-signed certificates over an API key: the certificate carries the public key, whose hash is the identity.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use strongroom_kes_api::ApiKey;

/// How long the certificate lives that a client makes from its API key at start.
pub const CLIENT_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What to write into a certificate.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Subject and issuer; without one, the identity.
    pub common_name: Option<String>,
    /// Names for use as a server certificate.
    pub dns_names: Vec<String>,
    /// Addresses for use as a server certificate.
    pub ip_addresses: Vec<IpAddr>,
    /// Also fit for a server.
    pub is_server: bool,
    /// How long it is valid, from now.
    pub lifetime: Duration,
}

/// A certificate that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A DNS name that cannot stand in a certificate.
    #[error("'{name}' is no DNS name")]
    DnsName {
        /// The refused name.
        name: String,
    },
    /// The system gives no randomness for the serial number.
    #[error("the system gives no randomness")]
    NoRandomness,
    /// The cryptography refused.
    #[error("the certificate cannot be signed: {source}")]
    Sign {
        /// What it said.
        #[from]
        source: rcgen::Error,
    },
}

/// Makes a self-signed Ed25519 leaf: digitalSignature, clientAuth, CA false.
///
/// # Errors
/// [`CertificateError`].
pub fn self_signed(
    key: &ApiKey,
    request: &Request,
    now: SystemTime,
) -> Result<CertificateDer<'static>, CertificateError> {
    let pkcs8 = key.expose_pkcs8_der();
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(pkcs8.as_slice()),
        &rcgen::PKCS_ED25519,
    )?;

    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let common_name = request
        .common_name
        .clone()
        .unwrap_or_else(|| key.identity().to_string());
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = now.into();
    params.not_after = (now + request.lifetime).into();
    params.serial_number = Some(random_serial()?);
    // Written out, since a certificate that may be a CA's names nobody.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if request.is_server {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    for name in &request.dns_names {
        let dns = name
            .clone()
            .try_into()
            .map_err(|_| CertificateError::DnsName { name: name.clone() })?;
        params.subject_alt_names.push(SanType::DnsName(dns));
    }
    params
        .subject_alt_names
        .extend(request.ip_addresses.iter().copied().map(SanType::IpAddress));
    Ok(params.self_signed(&pair)?.der().clone())
}

/// Random below 2^127: RFC 5280 §4.1.2.2 wants a positive number.
fn random_serial() -> Result<SerialNumber, CertificateError> {
    let mut serial = [0; 16];
    rand::fill(&mut serial).map_err(|_| CertificateError::NoRandomness)?;
    serial[0] &= 0x7f;
    Ok(SerialNumber::from_slice(&serial))
}
