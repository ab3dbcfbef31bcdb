//! `strongroom dev`: a key server, an object server and credentials, in one directory and one command.

mod folder;
mod print;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use strongroom_access::{Hosts, RootCredentials};
use strongroom_kes_api::{AdminIdentity, ApiKey, KeyName, Policy, PolicyName, path};
use strongroom_kes_client::Endpoint;
use strongroom_kes_server::config::{ApiSettings, CacheConfig, LogConfig, PolicyConfig};
use strongroom_kes_server::{AuditRecord, ErrorRecord, KesServer, Level, LogSink};
use strongroom_sse::KeyWindows;
use strongroom_transport::issue::{self, Subject};
use strongroom_transport::{ClientAuth, Identity, Tls, shutdown};
use tokio::net::TcpListener;

use self::folder::Folder;
use crate::assemble::{self, Settings};
use crate::cli::DevArgs;
use crate::config::{AutoEncryption, Config, KesAuth, KesConfig, KmsConfig};
use crate::{kes, server, signals};

/// The key that everything is encrypted under.
const KEY: &str = "strongroom-dev-key";
const S3_PORT: u16 = 9000;
const KES_PORT: u16 = 7373;
/// Certificates are made at every start, from an authority that stays.
const CERTIFICATE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How long keys are remembered, by the key server and by the object server each: short, so that who deletes a key sees
/// what that means soon.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How long the object server waits for the key server beside it.
const KMS_START_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs both servers until they are asked to end.
pub(crate) async fn run(args: DevArgs) -> Result<()> {
    let folder = Folder::open(&args.dir)?;
    let s3 = bind(args.address, S3_PORT).await?;
    let kes = bind(args.kes_address, KES_PORT).await?;
    let (s3_address, kes_address) = (reachable(s3.local_addr()?), reachable(kes.local_addr()?));
    let identity = certificate(&folder, &[s3_address, kes_address])?;

    let (stop, stopped) = shutdown();
    let key_server = key_server(&folder, kes_address, identity.clone()).await?;
    let keys = {
        let stopped = stopped.clone();
        tokio::spawn(async move { key_server.run(kes, stopped).await })
    };
    let settings = Settings {
        path: folder.data(),
        compat_etags: true,
        accept_signature_v2: true,
    };
    let objects = assemble::object_server(config(&folder, kes_address)?, settings).await?;
    let tls = Tls::new(&identity, &ClientAuth::None)?;
    let objects = tokio::spawn(server::serve_until(s3, Some(tls), objects.service, stopped));

    folder.write_env(s3_address, kes_address)?;
    let mut signals = signals::listen();
    print::welcome(&folder, s3_address, kes_address);
    signals.stop().await;
    stop.begin();
    let drained = async { tokio::join!(objects, keys) };
    tokio::select! {
        _ = drained => {}
        () = signals.stop() => {}
    }
    Ok(())
}

/// The address asked for; else the usual port, or a free one where that is taken.
async fn bind(asked: Option<SocketAddr>, usual: u16) -> Result<TcpListener> {
    if let Some(address) = asked {
        return server::bind(address).await;
    }
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match strongroom_transport::bind(loopback(usual)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.source.kind() == std::io::ErrorKind::AddrInUse => {
            server::bind(loopback(0)).await
        }
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

/// The address by which this machine reaches a listener. An IP address, so that clients do not put buckets before it.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

fn certificate(folder: &Folder, addresses: &[SocketAddr]) -> Result<Identity> {
    let mut names: Vec<IpAddr> = vec![
        Ipv4Addr::LOCALHOST.into(),
        std::net::Ipv6Addr::LOCALHOST.into(),
    ];
    names.extend(addresses.iter().map(SocketAddr::ip));
    names.sort_unstable();
    names.dedup();
    let issued = issue::signed_by(
        &folder.authority,
        &Subject {
            common_name: "Strongroom development",
            dns_names: &["localhost".to_owned()],
            addresses: &names,
            now: SystemTime::now(),
            validity: CERTIFICATE,
        },
    )
    .with_context(|| {
        format!(
            "{} does not sign certificates",
            folder.authority_path().display()
        )
    })?;
    Ok(issued.identity()?)
}

async fn key_server(folder: &Folder, address: SocketAddr, identity: Identity) -> Result<KesServer> {
    let admin =
        AdminIdentity::Identity(ApiKey::parse(&folder.credentials.admin_api_key)?.identity());
    let app = ApiKey::parse(&folder.credentials.app_api_key)?.identity();
    // Whoever tries SSE-KMS makes a key by hand and names it: all may be used, only the default one made.
    let every_key = |route: &str| format!("{route}*");
    let allow = [
        format!("{}{KEY}", path::KEY_CREATE),
        every_key(path::KEY_GENERATE),
        every_key(path::KEY_DECRYPT),
        every_key(path::KEY_DESCRIBE),
        every_key(path::KEY_HMAC),
        path::STATUS.to_owned(),
    ];
    let policy = PolicyConfig {
        policy: Policy::new(allow, Vec::<String>::new()),
        identities: BTreeSet::from([app.into()]),
    };
    let mut config = strongroom_kes_server::Config::development(address, admin, identity);
    config.keystore = strongroom_keystore::KeystoreConfig::Fs {
        path: folder.keys(),
    };
    config.policies = BTreeMap::from([(PolicyName::parse("object-server")?, policy)]);
    config.cache = CacheConfig {
        any: REMEMBERED,
        ..CacheConfig::default()
    };
    config.api = BTreeMap::from([(
        path::READY,
        ApiSettings {
            skip_auth: true,
            ..Default::default()
        },
    )]);
    config.log = LogConfig {
        error: Level::WARN,
        audit: Level::OFF,
        ..LogConfig::default()
    };
    let store = kes::open_keystore(&config.keystore).await?;
    Ok(KesServer::start(config, store, kes::surroundings(Arc::new(Log))).await?)
}

fn config(folder: &Folder, kes_address: SocketAddr) -> Result<Config> {
    let credentials = &folder.credentials;
    Ok(Config {
        root: RootCredentials::new(credentials.user.as_str(), credentials.password.as_str())?,
        kms: KmsConfig::Kes(KesConfig {
            endpoints: vec![Endpoint::parse(&kes_address.to_string())?],
            default_key: KeyName::parse(KEY)?,
            auth: KesAuth::ApiKey(credentials.app_api_key.to_string()),
            authorities: Some(folder.authority_path()),
            allow_public_keys: false,
        }),
        auto_encryption: AutoEncryption::SseS3,
        windows: KeyWindows {
            bucket_key: REMEMBERED,
            opened: REMEMBERED,
            ..KeyWindows::default()
        },
        kms_start_timeout: KMS_START_TIMEOUT,
        hosts: Hosts::path_style(),
        warnings: Vec::new(),
    })
}

/// Errors of the key server go where those of the object server go.
struct Log;

impl LogSink for Log {
    fn audit(&self, _: &AuditRecord) {}

    fn error(&self, record: &ErrorRecord) {
        tracing::warn!("key server: {}", record.message);
    }
}
