//! Certificates for development: made in memory; keeping them is the caller's affair.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use zeroize::Zeroizing;

use crate::certificate::{CertificateError, Identity};

/// Clocks differ by minutes: certificates are valid from a little before they were made.
const BACKDATED: Duration = Duration::from_secs(10 * 60);

/// A certificate and its private key, both in PEM.
pub struct Issued {
    /// The certificate, or the chain with the leaf first.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub private_key: Zeroizing<String>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("certificate cannot be made")]
pub struct IssueError(#[from] rcgen::Error);

/// Whom a certificate is for.
#[derive(Debug, Clone)]
pub struct Subject<'s> {
    /// Common name; shown to people, checked by nobody.
    pub common_name: &'s str,
    /// Names by which clients call the server.
    pub dns_names: &'s [String],
    /// Addresses by which clients call the server.
    pub addresses: &'s [IpAddr],
    /// From when.
    pub now: SystemTime,
    /// For how long.
    pub validity: Duration,
}

impl Issued {
    /// The two as a listener wants them.
    ///
    /// # Errors
    /// [`CertificateError`] when the certificate names no host.
    pub fn identity(&self) -> Result<Identity, CertificateError> {
        Identity::from_pem(
            self.certificate.as_bytes(),
            self.private_key.as_bytes(),
            None,
        )
    }
}

/// A self-signed P-256 server certificate.
///
/// # Errors
/// [`IssueError`] when a name is no DNS name.
pub fn self_signed(subject: &Subject<'_>) -> Result<Issued, IssueError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = server_params(subject)?.self_signed(&key)?;
    Ok(Issued {
        certificate: certificate.pem(),
        private_key: Zeroizing::new(key.serialize_pem()),
    })
}

/// A small certificate authority, so that clients can be told to trust one file for ever while leaves are renewed.
///
/// # Errors
/// [`IssueError`] when the cryptography fails.
pub fn authority(
    common_name: &str,
    now: SystemTime,
    validity: Duration,
) -> Result<Issued, IssueError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, validity);
    let certificate = params.self_signed(&key)?;
    Ok(Issued {
        certificate: certificate.pem(),
        private_key: Zeroizing::new(key.serialize_pem()),
    })
}

/// A P-256 server certificate signed by an [`authority`], followed by that authority's.
///
/// # Errors
/// [`IssueError`] when the authority does not parse or a name is no DNS name.
pub fn signed_by(authority: &Issued, subject: &Subject<'_>) -> Result<Issued, IssueError> {
    let issuer = Issuer::from_ca_cert_pem(
        &authority.certificate,
        KeyPair::from_pem(&authority.private_key)?,
    )?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = server_params(subject)?.signed_by(&key, &issuer)?;
    Ok(Issued {
        certificate: certificate.pem() + &authority.certificate,
        private_key: Zeroizing::new(key.serialize_pem()),
    })
}

fn server_params(subject: &Subject<'_>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(subject.dns_names.to_vec())?;
    params
        .subject_alt_names
        .extend(subject.addresses.iter().map(|a| SanType::IpAddress(*a)));
    params.distinguished_name.remove(DnType::CommonName);
    params
        .distinguished_name
        .push(DnType::CommonName, subject.common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, subject.now, subject.validity);
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, now: SystemTime, validity: Duration) {
    let epoch = date_time_ymd(1970, 1, 1);
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + since_epoch.saturating_sub(BACKDATED);
    params.not_after = epoch + since_epoch + validity;
}
