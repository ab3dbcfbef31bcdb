//! The server's certificate, and the authorities that clients are checked against.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use strongroom_kes_server::Config;
use strongroom_kes_server::config::CertificateSource;
use strongroom_transport::certificate::{self, CertificateError, Identity};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::report::{Report, counted};

const CERTIFICATE: &str = "certificate";
const CLIENTS: &str = "client certificates";
/// Soon enough to be told of: a month is what most renew in.
const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn look(config: &Config, now: SystemTime, report: &mut Report) {
    if let CertificateSource::Files {
        private_key,
        certificate,
        password,
    } = &config.tls.certificate
    {
        private_key_rights(private_key, report);
        match Identity::from_files(
            certificate,
            private_key,
            password.as_ref().map(|p| p.as_str()),
        ) {
            Ok(identity) => {
                report.good(
                    CERTIFICATE,
                    format!(
                        "{} and {} belong together",
                        certificate.display(),
                        private_key.display()
                    ),
                );
                let chain: Vec<&[u8]> = identity.chain().iter().map(AsRef::as_ref).collect();
                look_at_chain(&chain, config, now, report);
            }
            Err(error) => report.bad(CERTIFICATE, with_advice(&error, certificate, private_key)),
        }
    }
    clients(config, now, report);
}

fn private_key_rights(file: &Path, report: &mut Report) {
    if let Ok(metadata) = std::fs::metadata(file)
        && metadata.permissions().mode() & 0o004 != 0
    {
        report.warn(
            "private key",
            format!("every user can read it; run: chmod o= {}", file.display()),
        );
    }
}

fn with_advice(error: &CertificateError, certificate: &Path, private_key: &Path) -> String {
    let (certificate, private_key) = (certificate.display(), private_key.display());
    let inner = match error {
        CertificateError::InFile { source, .. } => source,
        other => other,
    };
    let advice = match inner {
        CertificateError::File { .. } => {
            "check the path under 'tls' and the rights of this user".to_owned()
        }
        CertificateError::NoCertificate => {
            format!("'tls.cert' has to name a PEM file with the certificate first ({certificate})")
        }
        CertificateError::NoPrivateKey => {
            format!("'tls.key' has to name a PEM file with a private key ({private_key})")
        }
        CertificateError::NoSubjectAltName => format!(
            "make {certificate} again with its names: kes identity new --key {private_key} --cert {certificate} --dns NAME --ip IP"
        ),
        CertificateError::Unusable(_) => format!(
            "{certificate} has to be the certificate of {private_key}; perhaps one of them was renewed alone"
        ),
        CertificateError::Pem(_) => {
            format!("check {private_key}, and 'tls.password' if the key is encrypted")
        }
        _ => format!("check {certificate}"),
    };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    format!("{text}; {advice}")
}

fn look_at_chain(chain: &[&[u8]], config: &Config, now: SystemTime, report: &mut Report) {
    let parsed: Vec<X509Certificate<'_>> = chain
        .iter()
        .filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1))
        .collect();
    let Some(leaf) = parsed.first() else { return };
    let names = names(leaf);
    report.good(CERTIFICATE, format!("it is for {}", names.join(", ")));
    for certificate in &parsed {
        validity(CERTIFICATE, certificate, now, report);
    }
    let ip = config.address.ip();
    if !ip.is_unspecified() && !names.contains(&ip.to_string()) {
        report.warn(
            CERTIFICATE,
            format!("the server listens on {ip}, which the certificate does not name; clients that call it by that address refuse it"),
        );
    }
    if leaf.is_ca() {
        report.warn(
            CERTIFICATE,
            "it is a certificate authority's (CA:TRUE), which strict clients refuse as a server's; issue one without",
        );
    }
    if let Ok(Some(usage)) = leaf.extended_key_usage()
        && !usage.value.server_auth
        && !usage.value.any
    {
        report.bad(CERTIFICATE, "its extended key usage lacks 'server authentication', so every client refuses it; issue it again");
    }
    for pair in parsed.windows(2) {
        if pair[0].issuer().as_raw() != pair[1].subject().as_raw() {
            report.bad(
                CERTIFICATE,
                "the file's certificates are in the wrong order: each has to be followed by its issuer's, the server's own first",
            );
        }
    }
    if parsed.len() == 1 && leaf.issuer().as_raw() == leaf.subject().as_raw() {
        report.good(
            CERTIFICATE,
            "it is self-signed: clients need it as their authority (--ca, MINIO_KMS_KES_CAPATH)",
        );
    }
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|b| IpAddr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|b| IpAddr::from(b).to_string()),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(text).collect()
}

fn validity(step: &str, certificate: &X509Certificate<'_>, now: SystemTime, report: &mut Report) {
    let now_s = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let now_s = i64::try_from(now_s).unwrap_or(i64::MAX);
    let (from, until) = (
        certificate.validity().not_before.timestamp(),
        certificate.validity().not_after.timestamp(),
    );
    let soon = i64::try_from(EXPIRES_SOON.as_secs()).unwrap_or(i64::MAX);
    let who = certificate.subject();
    if now_s < from {
        report.bad(
            step,
            format!(
                "'{who}' is valid only from {}; check this machine's clock, or wait",
                day(from)
            ),
        );
    } else if now_s > until {
        report.bad(
            step,
            format!(
                "'{who}' expired on {}; renew it, a running server takes the new files by itself",
                day(until)
            ),
        );
    } else if until - now_s < soon {
        report.warn(
            step,
            format!(
                "'{who}' expires soon, on {}; renew it, a running server takes the new files by itself",
                day(until)
            ),
        );
    } else {
        report.good(step, format!("'{who}' is valid until {}", day(until)));
    }
}

fn day(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(
        |_| "an unknown day".to_owned(),
        |t| t.strftime("%Y-%m-%d").to_string(),
    )
}

fn clients(config: &Config, now: SystemTime, report: &mut Report) {
    let tls = &config.tls;
    if let Some(path) = &tls.authorities {
        match certificate::authorities(path) {
            Ok(found) => {
                report.good(
                    CLIENTS,
                    format!(
                        "{} in {}",
                        counted(found.len(), "authority"),
                        path.display()
                    ),
                );
                for der in &found {
                    if let Ok((_, parsed)) = X509Certificate::from_der(der) {
                        validity(CLIENTS, &parsed, now, report);
                        if !parsed.is_ca() {
                            report.warn(CLIENTS, format!("'{}' in {} is no certificate authority, so it vouches for nobody but itself", parsed.subject(), path.display()));
                        }
                    }
                }
            }
            Err(error) => report.bad(
                CLIENTS,
                format!("{error}; 'tls.ca' has to name a PEM file or a folder of them"),
            ),
        }
    }
    match (tls.verify_clients, &tls.authorities) {
        (true, None) => report.warn(
            CLIENTS,
            "they are verified against this system's authorities alone; self-signed ones, as 'kes identity new' makes them, are refused",
        ),
        (true, Some(_)) => report.good(CLIENTS, "they are verified: self-signed ones are refused"),
        (false, Some(_)) => report.warn(CLIENTS, "'tls.ca' has no effect on clients, since 'tls.auth' does not ask for their verification"),
        (false, None) => report.good(CLIENTS, "any is welcome; who it is, and what that identity may do, is decided by its public key"),
    }
    match (tls.proxies.is_empty(), &tls.proxy_header) {
        (true, Some(_)) => report.warn("tls proxy", "a header is named but no identity of a proxy, so the header is never believed"),
        (false, None) => report.warn("tls proxy", "identities of proxies are named but no header, so clients behind them have no identity"),
        _ => {}
    }
}
