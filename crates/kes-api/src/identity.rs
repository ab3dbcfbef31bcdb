//! Who is calling: an identity is the SHA-256 of the public key, as the certificate encodes it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::error::KesError;

/// `lowercase_hex(SHA-256(DER(SubjectPublicKeyInfo)))`. Renewing a certificate for the same key keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity([u8; 32]);

impl Identity {
    /// The identity of a DER-encoded SubjectPublicKeyInfo.
    #[must_use]
    pub fn of_public_key_info(spki_der: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, spki_der).as_ref());
        Self(hash)
    }

    /// The identity of a DER-encoded X.509 certificate, CA or not.
    ///
    /// # Errors
    /// [`PeerError::Malformed`] when it does not parse.
    pub fn of_certificate(der: &[u8]) -> Result<Self, PeerError> {
        Ok(parse_certificate(der)?.identity)
    }

    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

/// The text is not 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is no identity: 64 lowercase hexadecimal digits are expected")]
pub struct NotAnIdentity {
    /// The refused text.
    pub given: String,
}

impl FromStr for Identity {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        let refuse = || NotAnIdentity {
            given: text.to_owned(),
        };
        // Identities are compared as text by upstream: an upper-case one never equals any caller's.
        if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(refuse());
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| refuse())?;
        Ok(Self(hash))
    }
}

/// The `admin.identity` of a configuration. Any value that is no hash (`disabled`, `_`) means that nobody is admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminIdentity {
    /// Nobody; the text as configured.
    Disabled(String),
    /// This caller passes every route without policy.
    Identity(Identity),
}

impl AdminIdentity {
    /// Reads the configured value. Every text is legal.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Disabled(text.to_owned()), Self::Identity)
    }

    /// Is the caller the admin?
    #[must_use]
    pub fn is(&self, caller: &Identity) -> bool {
        matches!(self, Self::Identity(admin) if admin == caller)
    }

    /// The admin, if there is one.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::Identity(identity) => Some(*identity),
            Self::Disabled(_) => None,
        }
    }
}

impl fmt::Display for AdminIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(identity) => identity.fmt(f),
            Self::Disabled(text) => f.write_str(text),
        }
    }
}

/// Why the certificates of a peer name nobody. The peer is at fault in every case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// A certificate does not parse.
    #[error("tls: invalid client certificate")]
    Malformed,
    /// No certificate was sent.
    #[error("tls: client certificate is required")]
    NoCertificate,
    /// All that was sent has CA:TRUE (plain `openssl req -x509` makes such), and CA certificates name nobody.
    #[error("tls: client certificate is required: only CA certificates were sent")]
    OnlyCa,
    /// The certificate whose key the peer proved to hold, the first, is a CA's; the one behind it proves nothing.
    #[error("tls: client certificate is required: it has to be sent before the CA certificates")]
    NotFirst,
    /// More than one certificate that is no CA's.
    #[error("tls: received more than one client certificate")]
    TooMany,
}

impl From<PeerError> for KesError {
    fn from(error: PeerError) -> Self {
        Self::new(400, error.to_string())
    }
}

/// The one certificate that names the peer: those with BasicConstraints CA = true are skipped, exactly one must remain.
///
/// It has to be the first. A handshake proves possession of that key alone (RFC 8446 §4.4.2), and without verified chains
/// anybody can send a CA certificate of their own and append somebody else's.
///
/// # Errors
/// [`PeerError`]; it converts to the [`KesError`] to answer.
pub fn of_peer<C: AsRef<[u8]>>(certificates: &[C]) -> Result<Peer<'_>, PeerError> {
    let mut found = None;
    for (at, certificate) in certificates.iter().enumerate() {
        let der = certificate.as_ref();
        let parsed = parse_certificate(der)?;
        if parsed.is_ca {
            continue;
        }
        if found.is_some() {
            return Err(PeerError::TooMany);
        }
        let peer = Peer {
            identity: parsed.identity,
            certificate: der,
        };
        found = Some((at, peer));
    }
    match found {
        Some((0, peer)) => Ok(peer),
        Some(_) => Err(PeerError::NotFirst),
        None if certificates.is_empty() => Err(PeerError::NoCertificate),
        None => Err(PeerError::OnlyCa),
    }
}

/// The certificate that names a peer, and the identity in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer<'c> {
    /// Who it is.
    pub identity: Identity,
    /// The certificate, DER.
    pub certificate: &'c [u8],
}

struct ParsedCertificate {
    identity: Identity,
    is_ca: bool,
}

fn parse_certificate(der: &[u8]) -> Result<ParsedCertificate, PeerError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| PeerError::Malformed)?;
    if !rest.is_empty() {
        return Err(PeerError::Malformed);
    }
    let is_ca = match certificate.basic_constraints() {
        Ok(constraints) => constraints.is_some_and(|c| c.value.ca),
        Err(_) => return Err(PeerError::Malformed),
    };
    Ok(ParsedCertificate {
        identity: Identity::of_public_key_info(certificate.public_key().raw),
        is_ca,
    })
}
