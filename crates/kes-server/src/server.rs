//! The server, put together: what the binary starts, reloads and stops.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use strongroom_envelope::{HmacKey, MasterCipher, MasterKey};
use strongroom_kes_api::KeyName;
use strongroom_keystore::{KeyStore, StoreError, StoredValue};
use strongroom_transport::certificate::{self, CertificateError};
use strongroom_transport::listen::CONNECTIONS_MAX;
use strongroom_transport::tls::{ClientRoots, TlsError};
use strongroom_transport::{
    ClientAuth, Identity as Certificate, Limits, Peer, ShutdownSignal, Tls, Workers, serve_on,
};
use tokio::net::TcpListener;
use zeroize::{Zeroize as _, Zeroizing};

use crate::bodies::Bodies;
use crate::config::{CertificateSource, Config, TlsConfig};
use crate::disk_cache::{DiskCache, DiskCacheError};
use crate::log::Level;
use crate::metrics::Metrics;
use crate::reply::Answer;
use crate::state::State;
use crate::stored_key::Key;
use crate::stream::LineStream;
use crate::surroundings::{NoEntropy, Surroundings};
use crate::trust::Client;

/// How often keys that have ended are wiped from memory.
const SWEEP_PERIOD: Duration = Duration::from_secs(5);
/// How often the store is asked whether it is there, when `cache.expiry.offline` is set.
const OFFLINE_CHECK_PERIOD: Duration = Duration::from_secs(10);
/// A check that takes longer counts as failed.
const OFFLINE_CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections from one address: application servers hold a few each, and a proxy in front multiplexes.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 4096;
/// How long running requests may take after the server was asked to end. Upstream grants 1 s; a slow store needs more, and
/// idle connections do not wait.
const DRAIN_GRACE: Duration = Duration::from_secs(10);

/// A key server. Clones are the same server.
#[derive(Debug, Clone)]
pub struct KesServer(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    /// Shared, for work that outlives its request.
    pub(crate) state: Arc<ArcSwap<State>>,
    pub(crate) metrics: Metrics,
    pub(crate) bodies: Bodies,
    pub(crate) error_stream: LineStream,
    pub(crate) audit_stream: LineStream,
    pub(crate) surroundings: Surroundings,
    pub(crate) started: Duration,
    tls: Tls,
    /// Keys that the configuration lists are still to be made: the store was away.
    owes_keys: AtomicBool,
    /// One reload at a time: two would overwrite each other's outcome.
    reloading: tokio::sync::Mutex<()>,
}

/// Why the server does not start, or does not take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate or key of the server, or the authorities for clients, cannot be used.
    #[error("kesconf: invalid tls config")]
    Certificate(#[from] CertificateError),
    /// TLS cannot be set up.
    #[error("kesconf: invalid tls config")]
    Tls(#[from] TlsError),
    /// A key that the configuration lists cannot be made.
    #[error("failed to create key '{name}'")]
    Key {
        /// Which.
        name: KeyName,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The folder of the disk cache cannot be used.
    #[error(transparent)]
    DiskCache(#[from] DiskCacheError),
    /// `log.audit_file` cannot be used.
    #[error(
        "kesconf: invalid log config: audit file cannot be used; check its folder, and that no other server writes it"
    )]
    AuditFile(#[source] std::io::Error),
    /// There is no randomness to make keys from.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl KesServer {
    /// Puts a server together and makes the keys that the configuration lists; existing ones are left.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: Config,
        store: Arc<dyn KeyStore>,
        surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let material = TlsMaterial::load(&config)?;
        let tls = Tls::new(&material.certificate, &material.client_auth)?;
        surroundings
            .log
            .configure(&config.log)
            .map_err(StartError::AuditFile)?;
        let loaded_at = surroundings.clock.now();
        let disk = open_disk_cache(&config, &surroundings).await?;
        let state = State::new(config, loaded_at, store, material.client_roots, disk, None);
        let owed = create_listed_keys(&state, &surroundings).await?;
        let started = surroundings.clock.elapsed();
        let metrics = Metrics::default();
        let state = Arc::new(ArcSwap::from_pointee(state));
        let server = Self(Arc::new(Inner {
            state,
            metrics,
            bodies: Bodies::default(),
            error_stream: LineStream::default(),
            audit_stream: LineStream::default(),
            surroundings,
            started,
            tls,
            owes_keys: owed.is_some().into(),
            reloading: tokio::sync::Mutex::new(()),
        }));
        server.0.log_owed(owed);
        Ok(server)
    }

    /// Serves until `shutdown`, with the limits of a key server.
    pub async fn run(&self, listener: TcpListener, shutdown: ShutdownSignal) {
        self.run_with(listener, CONNECTIONS_MAX, shutdown).await;
    }

    /// [`KesServer::run`] with so many connections at once; more wait.
    pub async fn run_with(
        &self,
        listener: TcpListener,
        connections_max: usize,
        shutdown: ShutdownSignal,
    ) {
        let mut ending = shutdown.clone();
        let make_service = {
            let inner = Arc::clone(&self.0);
            move |peer: &Peer| KesService {
                server: Arc::clone(&inner),
                client: Arc::new(Client::new(peer.clone())),
            }
        };
        let tls = {
            let inner = Arc::clone(&self.0);
            // The words of Go's server, which operators search for.
            self.0.tls.clone().telling(move |address, why| {
                let message = format!("http: TLS handshake error from {address}: {why}");
                inner.log_error(&inner.state.load(), Level::INFO, message, None);
            })
        };
        // Without threads of its own the server is slower, and as good otherwise.
        let workers = Workers::start().ok();
        let serving = serve_on(
            workers.as_ref(),
            listener,
            Some(tls),
            limits(connections_max),
            make_service,
            shutdown,
        );
        let end_streams = async {
            ending.wait().await;
            // They have no end of their own that could be waited for.
            self.0.error_stream.cut();
            self.0.audit_stream.cut();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serving => {}
            () = self.maintain() => {}
            () = end_streams => {}
        }
    }

    /// Takes a new configuration, all but its address. Requests that run finish under the old one. On an error
    /// everything stays as it was.
    ///
    /// Pass the store that is in use when its settings did not change, so that remembered keys stay.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn reload(&self, config: Config, store: Arc<dyn KeyStore>) -> Result<(), StartError> {
        let inner = &self.0;
        let _alone = inner.reloading.lock().await;
        let material = TlsMaterial::load(&config)?;
        let previous = inner.state.load_full();
        let loaded_at = inner.surroundings.clock.now();
        let disk = inner.disk_cache_for(&config, &previous).await?;
        let state = State::new(
            config,
            loaded_at,
            store,
            material.client_roots,
            disk,
            Some(&previous),
        );
        let private_key = disk_cache_key(&state)?;
        let owed = create_listed_keys(&state, &inner.surroundings).await?;
        inner
            .surroundings
            .log
            .configure(&state.config.log)
            .map_err(StartError::AuditFile)?;
        inner
            .tls
            .replace(&material.certificate, &material.client_auth)?;
        // Last, since it cannot be taken back.
        adopt_private_key(&state, private_key).await?;
        inner.owes_keys.store(owed.is_some(), Ordering::Relaxed);
        inner.state.store(Arc::new(state));
        inner.log_owed(owed);
        // Who may still listen comes back and is judged by the new policies.
        inner.error_stream.cut();
        inner.audit_stream.cut();
        Ok(())
    }

    /// Reads certificate, key and authorities again, as upstream does every 15 minutes. On an error the old ones stay.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn reload_certificates(&self) -> Result<(), StartError> {
        let inner = &self.0;
        let _alone = inner.reloading.lock().await;
        let previous = inner.state.load_full();
        let (config, store) = (previous.config.clone(), Arc::clone(&previous.store));
        let material = TlsMaterial::load(&config)?;
        let private_key = disk_cache_key(&previous)?;
        inner
            .tls
            .replace(&material.certificate, &material.client_auth)?;
        let are_authorities_new = material.client_roots != previous.client_roots;
        let loaded_at = previous.loaded_at;
        let state = State::new(
            config,
            loaded_at,
            store,
            material.client_roots,
            previous.disk.clone(),
            Some(&previous),
        );
        adopt_private_key(&state, private_key).await?;
        inner.state.store(Arc::new(state));
        if are_authorities_new {
            // Requests are judged anew by themselves; a stream is one that was judged long ago.
            inner.error_stream.cut();
            inner.audit_stream.cut();
        }
        Ok(())
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> Config {
        self.0.state.load().config.clone()
    }

    /// The store in use.
    #[must_use]
    pub fn store(&self) -> Arc<dyn KeyStore> {
        Arc::clone(&self.0.state.load().store)
    }

    /// Wipes ended keys, and watches the store when keys shall outlive it.
    async fn maintain(&self) {
        let mut sweep = tokio::time::interval(SWEEP_PERIOD);
        let mut check = tokio::time::interval(OFFLINE_CHECK_PERIOD);
        loop {
            tokio::select! {
                _ = sweep.tick() => {
                    let state = self.0.state.load_full();
                    state.cache.sweep(self.0.surroundings.clock.elapsed());
                    if let Some(disk) = &state.disk {
                        disk.sweep();
                    }
                    self.0.log_disk_reports(&state);
                }
                _ = check.tick() => self.check_store().await,
            }
        }
    }

    async fn check_store(&self) {
        let state = self.0.state.load_full();
        self.0.pay_owed_keys(&state).await;
        let has_offline_time = !state.config.cache.offline.is_zero();
        if !has_offline_time && state.disk.is_none() {
            return;
        }
        let status = tokio::time::timeout(OFFLINE_CHECK_TIMEOUT, state.store.status()).await;
        if let Some(disk) = &state.disk {
            // Any answer at all is one that the disk must not override.
            let is_away = matches!(status, Err(_) | Ok(Err(StoreError::Unreachable { .. })));
            disk.set_store_away(is_away);
            self.0.log_disk_reports(&state);
        }
        if !has_offline_time {
            return;
        }
        let is_offline = !matches!(status, Ok(Ok(())));
        if is_offline != state.cache.is_offline() {
            let message = if is_offline {
                "key store is not reachable: remembered keys are kept for the offline time"
            } else {
                "key store is reachable again"
            };
            self.0
                .log_error(&state, Level::WARN, message.to_owned(), None);
        }
        state
            .cache
            .set_offline(is_offline, self.0.surroundings.clock.elapsed());
    }
}

fn limits(connections_max: usize) -> Limits {
    Limits {
        connections_max,
        // Where descriptors are few, one address still leaves some to others.
        connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX
            .min(connections_max.saturating_sub(connections_max / 4)),
        drain_grace: DRAIN_GRACE,
        ..Limits::default()
    }
}

/// What one configuration makes of the files that it names.
struct TlsMaterial {
    certificate: Certificate,
    client_auth: ClientAuth,
    client_roots: Option<ClientRoots>,
}

impl TlsMaterial {
    fn load(config: &Config) -> Result<Self, StartError> {
        let TlsConfig {
            certificate,
            verify_clients,
            authorities,
            ..
        } = &config.tls;
        let certificate = match certificate {
            CertificateSource::Given(certificate) => certificate.clone(),
            CertificateSource::Files {
                private_key,
                certificate,
                password,
            } => Certificate::from_files(
                certificate,
                private_key,
                password.as_ref().map(|p| p.as_str()),
            )?,
        };
        // A listener cannot know the route before the handshake: one open route makes certificates optional.
        let required = !config.skips_auth_somewhere();
        if !verify_clients {
            let client_auth = ClientAuth::Any { required };
            return Ok(Self {
                certificate,
                client_auth,
                client_roots: None,
            });
        }
        let extra = authorities
            .as_deref()
            .map(certificate::authorities)
            .transpose()?;
        let roots = ClientRoots::system_and(extra.unwrap_or_default())?;
        let client_auth = ClientAuth::Verified {
            roots: roots.clone(),
            required,
        };
        Ok(Self {
            certificate,
            client_auth,
            client_roots: Some(roots),
        })
    }
}

impl Inner {
    /// The disk cache that a new configuration asks for: the open one where it is in the same folder.
    async fn disk_cache_for(
        &self,
        config: &Config,
        previous: &State,
    ) -> Result<Option<Arc<DiskCache>>, StartError> {
        let Some(wanted) = &config.cache.disk else {
            return Ok(None);
        };
        match previous.disk.as_ref().filter(|disk| disk.is_at(wanted)) {
            Some(disk) => Ok(Some(Arc::clone(disk))),
            None => open_disk_cache(config, &self.surroundings).await,
        }
    }

    fn log_owed(&self, owed: Option<StoreError>) {
        let state = self.state.load_full();
        self.log_disk_reports(&state);
        if let Some(error) = owed {
            let message = format!(
                "keys of the configuration are not made yet: {}; this is tried again every {OFFLINE_CHECK_PERIOD:?}",
                error.in_full()
            );
            self.log_error(&state, Level::WARN, message, None);
        }
    }

    /// Makes the listed keys that could not be made when the configuration was taken.
    async fn pay_owed_keys(&self, state: &State) {
        if !self.owes_keys.load(Ordering::Relaxed) {
            return;
        }
        // Not while a reload does the same, and decides anew what is owed.
        let _alone = self.reloading.lock().await;
        match create_listed_keys(state, &self.surroundings).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                self.owes_keys.store(false, Ordering::Relaxed);
                let message = "keys of the configuration exist now".to_owned();
                self.log_error(state, Level::INFO, message, None);
            }
            Err(error) => {
                self.owes_keys.store(false, Ordering::Relaxed);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let message = format!(
                    "{error}: {}; correct this, and reload the configuration",
                    cause.unwrap_or_default()
                );
                self.log_error(state, Level::ERROR, message, None);
            }
        }
    }
}

/// The private key in a configuration's file, for the disk cache.
fn private_key(config: &Config) -> Result<Zeroizing<Vec<u8>>, StartError> {
    let CertificateSource::Files {
        private_key,
        password,
        ..
    } = &config.tls.certificate
    else {
        return Err(DiskCacheError::NoPrivateKey.into());
    };
    let failed = |source| DiskCacheError::Io {
        path: private_key.clone(),
        source,
    };
    let text = Zeroizing::new(std::fs::read(private_key).map_err(failed)?);
    let mut key = certificate::private_key(&text, password.as_ref().map(|p| p.as_str()))?;
    let der = Zeroizing::new(key.secret_der().to_vec());
    key.zeroize();
    Ok(der)
}

async fn open_disk_cache(
    config: &Config,
    surroundings: &Surroundings,
) -> Result<Option<Arc<DiskCache>>, StartError> {
    let Some(wanted) = config.cache.disk.clone() else {
        return Ok(None);
    };
    let private_key = private_key(config)?;
    let clock = Arc::clone(&surroundings.clock);
    let entropy = Arc::clone(&surroundings.entropy);
    let opened =
        tokio::task::spawn_blocking(move || DiskCache::open(&wanted, &private_key, clock, entropy));
    let path = || config.cache.disk.as_ref().map(|d| d.path.clone());
    let opened = opened.await.map_err(|error| DiskCacheError::Io {
        path: path().unwrap_or_default(),
        source: std::io::Error::other(error),
    })?;
    Ok(Some(Arc::new(opened?)))
}

/// What the disk cache is sealed with, if there is one: read before anything changes, since files may be broken.
fn disk_cache_key(state: &State) -> Result<Option<Zeroizing<Vec<u8>>>, StartError> {
    let is_wanted = state.disk.is_some();
    is_wanted.then(|| private_key(&state.config)).transpose()
}

/// Certificates are renewed with new private keys, also while the store is away: entries go along.
async fn adopt_private_key(
    state: &State,
    private_key: Option<Zeroizing<Vec<u8>>>,
) -> Result<(), StartError> {
    if let (Some(disk), Some(wanted), Some(private_key)) =
        (&state.disk, &state.config.cache.disk, private_key)
    {
        disk.adopt(wanted, &private_key).await?;
    }
    Ok(())
}

/// Makes the keys that the configuration lists; existing ones are left. With a disk cache the server can do without a store
/// that is away, and comes back to them: that error is returned.
async fn create_listed_keys(
    state: &State,
    surroundings: &Surroundings,
) -> Result<Option<StoreError>, StartError> {
    for name in &state.config.keys {
        let key = new_key(surroundings, state.creator())?;
        match store_key(state, name, &key).await {
            Ok(()) | Err(StoreError::Exists) => {}
            Err(error @ StoreError::Unreachable { .. }) if state.disk.is_some() => {
                return Ok(Some(error));
            }
            Err(source) => {
                return Err(StartError::Key {
                    name: name.clone(),
                    source,
                });
            }
        }
    }
    Ok(None)
}

/// A new random key. AES-256 always: aws-lc has it in constant time on every processor.
pub(crate) fn new_key(
    surroundings: &Surroundings,
    created_by: Option<String>,
) -> Result<Key, NoEntropy> {
    let mut bytes = Zeroizing::new([0; 32]);
    surroundings.entropy.fill(bytes.as_mut_slice())?;
    // By reference, so that no copy stays on the stack; the length is right by its type.
    let master =
        MasterKey::try_from_slice(MasterCipher::Aes256, bytes.as_slice()).map_err(|_| NoEntropy)?;
    with_master(surroundings, master, created_by)
}

/// A key around given material. Its HMAC key is always new: an import has no way to bring one.
pub(crate) fn with_master(
    surroundings: &Surroundings,
    master: MasterKey,
    created_by: Option<String>,
) -> Result<Key, NoEntropy> {
    let mut hmac = Zeroizing::new([0; 32]);
    surroundings.entropy.fill(hmac.as_mut_slice())?;
    Ok(Key {
        master,
        hmac: Some(HmacKey::from(hmac)),
        created_at: Some(surroundings.clock.now()),
        created_by,
    })
}

pub(crate) async fn store_key(state: &State, name: &KeyName, key: &Key) -> Result<(), StoreError> {
    let value = StoredValue::new(key.to_stored())
        .map_err(|e| StoreError::failed(format!("key '{name}' cannot be stored"), e))?;
    state.store.create(name, value).await
}

/// The server as hyper calls it, for one connection.
#[derive(Debug, Clone)]
struct KesService {
    server: Arc<Inner>,
    client: Arc<Client>,
}

impl Service<Request<Incoming>> for KesService {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { server, client } = self.clone();
        Box::pin(async move { Ok(server.answer(&client, request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_never_takes_all_places() {
        for all in [4, 100, 3072, CONNECTIONS_PER_ADDRESS_MAX, CONNECTIONS_MAX] {
            let share = limits(all).connections_per_address_max;
            assert!((1..all).contains(&share), "{share} of {all}");
        }
        assert_eq!(limits(1).connections_per_address_max, 1);
    }
}
