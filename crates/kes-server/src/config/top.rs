//! The sections of the file, and the older spellings of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use http::HeaderName;
use strongroom_kes_api::{AdminIdentity, IdentityName, KeyName};
use zeroize::Zeroizing;

use super::read::{Environment, Reader, Section, Text};
use super::yaml::{Node, Value};
use super::{
    CacheConfig, CertificateSource, Config, ConfigError, DEFAULT_ADDRESS, DISK_CACHE_MAX_AGE,
    DiskCacheConfig, Flags, Loaded, LogConfig, TlsConfig, api, keystore, policy,
};
use crate::log::Level;

pub(super) fn read(
    root: &Node,
    environment: &Environment<'_>,
    flags: &Flags,
) -> Result<Loaded, ConfigError> {
    let mut reader = Reader::new(environment);
    let reader = &mut reader;
    let mut file = reader.section("", root)?;
    let is_of_older_format = is_of_older_format(&file);
    if let Some(version) = reader.text(&mut file, "version")?
        && !matches!(version.text.trim(), "" | "v1")
    {
        let message = format!("kesconf: invalid config version '{}'", version.text);
        return Err(ConfigError::at(version.place, message));
    }
    let address = read_address(reader, &mut file)?;
    let admin = read_admin(reader, &mut file, flags)?;
    let tls = reader.subsection(&mut file, "tls")?;
    let (tls, unheeded) = read_tls(reader, tls, &admin, flags)?;
    let policies = reader.subsection(&mut file, "policy")?;
    let policies = policy::read(reader, policies, &admin, &tls.proxies, is_of_older_format)?;
    let cache = reader.subsection(&mut file, "cache")?;
    let cache = read_cache(reader, cache)?;
    let api = reader.subsection(&mut file, "api")?;
    let api = api::read(reader, api)?;
    let log = reader.subsection(&mut file, "log")?;
    let log = read_log(reader, log)?;
    if file.has("kms") {
        return Err(ConfigError::missing(
            "kesconf: the section 'kms' of v0.6 and v0.7, which wrapped stored keys, is not supported; unwrap the keys with that version first",
        ));
    }
    // `keys` was the key store once, and is a list of keys now.
    let keys_are_the_store = file
        .peek("keys")
        .is_some_and(|n| matches!(n.value, Value::Map(_)));
    let store = match file.has("keystore") {
        true => reader.subsection(&mut file, "keystore")?,
        false if keys_are_the_store => reader.subsection(&mut file, "keys")?,
        false => older_top_level_store(&mut file),
    };
    let keystore = keystore::read(reader, store)?;
    let keys = read_keys(reader, &mut file)?;
    reader.finish(file);

    let mut warnings = std::mem::take(&mut reader.warnings);
    warnings.sort_by_key(|warning| warning.place);
    let config = Config {
        address,
        admin,
        tls,
        policies,
        cache,
        api,
        log,
        keys,
        keystore,
    };
    Ok(Loaded {
        config,
        warnings,
        unheeded,
    })
}

/// Was the file written for a server before 2023-10, or one of its ancestors? Told by settings that newer ones do not have.
fn is_of_older_format(file: &Section<'_>) -> bool {
    let members = |node: &Node| match &node.value {
        Value::Map(map) => map.iter().map(|(_, _, node)| node.clone()).collect(),
        _ => Vec::new(),
    };
    let has = |node: &Node, name: &str| matches!(&node.value, Value::Map(map) if map.iter().any(|(n, ..)| n == name));
    let policies = file.peek("policy").map(members).unwrap_or_default();
    let is_map = |n: &Node| matches!(n.value, Value::Map(_));
    file.has("root")
        || file.peek("keys").is_some_and(is_map)
        || (!file.has("keystore") && OLDER_TOP_LEVEL_STORES.iter().any(|name| file.has(name)))
        || policies.iter().any(|policy| has(policy, "paths"))
}

/// `[IP]:port`; an empty host is every IPv4 interface.
pub(super) fn parse_address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':')?;
    if !host.is_empty() {
        return None;
    }
    Some(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port.parse().ok()?,
    ))
}

fn read_address(reader: &Reader<'_>, file: &mut Section<'_>) -> Result<SocketAddr, ConfigError> {
    let Some(Text { text, place }) = reader.text(file, "address")? else {
        return Ok(DEFAULT_ADDRESS);
    };
    if text.trim().is_empty() {
        return Ok(DEFAULT_ADDRESS);
    }
    parse_address(text.trim()).ok_or_else(|| {
        let message =
            format!("kesconf: invalid address '{text}': an IP address and a port are expected, as in 0.0.0.0:7373");
        ConfigError::at(place, message)
    })
}

fn read_admin(
    reader: &mut Reader<'_>,
    file: &mut Section<'_>,
    flags: &Flags,
) -> Result<AdminIdentity, ConfigError> {
    let mut section = reader.subsection(file, "admin")?;
    let mut given = reader.text(&mut section, "identity")?;
    reader.finish(section);
    let older = reader.text(file, "root")?;
    if given.as_ref().is_none_or(|t| t.text.trim().is_empty()) {
        given = older;
    }
    let given = given.as_ref().map(|t| t.text.trim());
    match flags
        .root
        .as_deref()
        .map(str::trim)
        .or(given)
        .filter(|t| !t.is_empty())
    {
        Some(admin) => Ok(AdminIdentity::parse(admin)),
        None => Err(ConfigError::missing(
            "kesconf: invalid admin identity: no admin identity",
        )),
    }
}

fn read_tls(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    admin: &AdminIdentity,
    flags: &Flags,
) -> Result<(TlsConfig, Vec<&'static str>), ConfigError> {
    let mut unheeded = Vec::new();
    let mut file = |reader: &Reader<'_>, name: &str| -> Result<Option<String>, ConfigError> {
        let text = reader.text(&mut section, name)?;
        Ok(text.map(|t| t.text).filter(|t| !t.trim().is_empty()))
    };
    let mut of = |name: &'static str, given: Option<String>, flag: &Option<PathBuf>| {
        if given.is_some() && flag.is_some() {
            unheeded.push(name);
        }
        given.map(PathBuf::from).or_else(|| flag.clone())
    };
    let private_key = of("--key", file(reader, "key")?, &flags.private_key)
        .ok_or_else(|| ConfigError::missing("kesconf: invalid tls config: no private key"))?;
    let certificate = of("--cert", file(reader, "cert")?, &flags.certificate)
        .ok_or_else(|| ConfigError::missing("kesconf: invalid tls config: no certificate"))?;
    let password = file(reader, "password")?.map(Zeroizing::new);
    let authorities = file(reader, "ca")?;
    let verify_clients = match reader.filled(&mut section, &["auth"])? {
        None => flags.verify_clients.unwrap_or(false),
        Some(Text { text, place }) => {
            if flags.verify_clients.is_some() {
                unheeded.push("--auth");
            }
            match text.trim().to_ascii_lowercase().as_str() {
                "off" => false,
                "on" => true,
                _ => {
                    let message = format!("kesconf: invalid tls config: invalid auth '{text}'");
                    return Err(ConfigError::at(place, message));
                }
            }
        }
    };
    let mut proxy = reader.subsection(&mut section, "proxy")?;
    let mut proxies = Vec::new();
    for Text { text, place } in reader.texts(&mut proxy, "identities", true)? {
        let invalid =
            |why: String| ConfigError::at(place, format!("kesconf: invalid tls proxy: {why}"));
        // The documentation's sample lists one blank entry.
        if text.trim().is_empty() {
            continue;
        }
        let identity = IdentityName::parse(text.trim()).map_err(|e| invalid(e.to_string()))?;
        if policy::is_admin(admin, &identity) {
            return Err(invalid(format!("identity '{identity}' is already admin")));
        }
        if identity.identity().is_none() {
            let message =
                format!("tls proxy '{identity}' is no SHA-256 hash, so no proxy has this identity");
            reader.warn(place, message);
        }
        proxies.push(identity);
    }
    let mut header = reader.subsection(&mut proxy, "header")?;
    let proxy_header = match reader.filled(&mut header, &["cert"])? {
        None => None,
        // Every request of a proxy would lack it.
        Some(Text { text, place }) if HeaderName::from_bytes(text.trim().as_bytes()).is_err() => {
            let message = format!(
                "kesconf: invalid tls proxy: '{text}' is no name of a header, such as X-Tls-Client-Cert"
            );
            return Err(ConfigError::at(place, message));
        }
        Some(Text { text, .. }) => Some(text.trim().to_owned()),
    };
    reader.finish(header);
    reader.finish(proxy);
    reader.finish(section);
    let tls = TlsConfig {
        certificate: CertificateSource::Files {
            private_key,
            certificate,
            password,
        },
        verify_clients,
        authorities: authorities.map(Into::into),
        proxies,
        proxy_header,
    };
    Ok((tls, unheeded))
}

fn read_cache(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
) -> Result<CacheConfig, ConfigError> {
    let mut expiry = reader.subsection(&mut section, "expiry")?;
    let default = CacheConfig::default();
    let any = reader.duration(&mut expiry, "any")?;
    // Called so until v0.10.
    let older_any = reader.duration(&mut expiry, "all")?;
    let cache = CacheConfig {
        any: any.or(older_any).unwrap_or(default.any),
        unused: reader
            .duration(&mut expiry, "unused")?
            .unwrap_or(default.unused),
        offline: reader
            .duration(&mut expiry, "offline")?
            .unwrap_or(default.offline),
        disk: read_disk_cache(reader, &mut section)?,
    };
    reader.finish(expiry);
    reader.finish(section);
    Ok(cache)
}

fn read_disk_cache(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
) -> Result<Option<DiskCacheConfig>, ConfigError> {
    let mut disk = reader.subsection(section, "disk")?;
    let place = disk.place;
    let path = reader.filled(&mut disk, &["path"])?;
    let max_age = reader.duration(&mut disk, "max_age")?;
    reader.finish(disk);
    match (path, max_age) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(ConfigError::Invalid {
            message: "kesconf: invalid cache config: 'cache.disk' has no path".to_owned(),
            place,
        }),
        (Some(path), Some(max_age)) if max_age.is_zero() => Err(ConfigError::at(
            path.place,
            "kesconf: invalid cache config: 'cache.disk.max_age' is zero, so that nothing would be kept; remove the \
             section 'cache.disk' instead",
        )),
        (Some(path), max_age) => Ok(Some(DiskCacheConfig {
            path: path.text.into(),
            max_age: max_age.unwrap_or(DISK_CACHE_MAX_AGE),
        })),
    }
}

fn read_log(reader: &mut Reader<'_>, mut section: Section<'_>) -> Result<LogConfig, ConfigError> {
    let mut level = |name: &str| -> Result<Level, ConfigError> {
        // Early versions had a section with files here.
        if section
            .peek(name)
            .is_some_and(|n| matches!(n.value, Value::Map(_) | Value::List(_)))
        {
            if let Some((place, _)) = section.take(name) {
                reader.warn(
                    place,
                    format!("'log.{name}' as a section is ignored; write on, off or a level"),
                );
            }
            return Ok(Level::INFO);
        }
        let Some(Text { text, place }) = reader.text(&mut section, name)? else {
            return Ok(Level::INFO);
        };
        Level::parse(&text).ok_or_else(|| {
            let message = format!("kesconf: invalid log config: '{text}' is no level; write on, off, DEBUG, INFO, WARN or ERROR");
            ConfigError::at(place, message)
        })
    };
    let (error, audit) = (level("error")?, level("audit")?);
    let log = LogConfig {
        error,
        audit,
        json: reader.flag(&mut section, "json")?,
        audit_file: reader
            .filled(&mut section, &["audit_file"])?
            .map(|t| t.text.into()),
    };
    reader.finish(section);
    Ok(log)
}

fn read_keys(reader: &mut Reader<'_>, file: &mut Section<'_>) -> Result<Vec<KeyName>, ConfigError> {
    let Some((place, node)) = file.take("keys") else {
        return Ok(Vec::new());
    };
    let list = match &node.value {
        Value::Null => return Ok(Vec::new()),
        Value::List(list) => list,
        _ => {
            return Err(ConfigError::at(
                place,
                "kesconf: invalid key config: 'keys' has to be a list",
            ));
        }
    };
    let mut names: Vec<KeyName> = Vec::with_capacity(list.len());
    for node in list {
        let mut section = reader.section("keys", node)?;
        let name = reader.text(&mut section, "name")?;
        reader.finish(section);
        let text = name.map(|n| n.text).unwrap_or_default();
        let name = KeyName::for_create(text.trim()).map_err(|error| {
            ConfigError::at(node.place, format!("kesconf: invalid key config: {error}"))
        })?;
        if names.contains(&name) {
            let message =
                format!("kesconf: invalid key config: key '{name}' is defined multiple times");
            return Err(ConfigError::at(node.place, message));
        }
        names.push(name);
    }
    Ok(names)
}

const OLDER_TOP_LEVEL_STORES: [&str; 3] = ["fs", "vault", "aws"];

/// Until v0.4 the stores stood at the top of the file.
fn older_top_level_store<'n>(file: &mut Section<'n>) -> Section<'n> {
    file.split_off(&OLDER_TOP_LEVEL_STORES)
}
