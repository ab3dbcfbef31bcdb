//! `strongroom server`: from a configuration to a server that is asked to end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use strongroom_transport::{ClientAuth, Identity, Limits, Peer, TellPeer, Tls, shutdown};
use tokio::net::TcpListener;

use crate::assemble::{self, ObjectServer};
use crate::cli::ServerArgs;
use crate::config::{Config, Environment};
use crate::http::ObjectService;
use crate::signals::{self, Signal, Signals};

/// How long running requests may take after the server was asked to end: a large part on a slow line.
const DRAIN_GRACE: Duration = Duration::from_secs(20);
/// Client certificates are read again this often, as MinIO does: they may be exchanged without a word.
const RELOAD_EVERY: Duration = Duration::from_secs(15 * 60);

/// Runs an object server until it is asked to end.
pub(crate) async fn run(args: ServerArgs, env: &Environment) -> Result<()> {
    let certificates = Certificates::find(&args, env)?;
    let config = Config::read(env, certificates.authorities.as_deref())?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let tls = certificates.tls()?;
    // Bound before anything is touched, so that a second server on the same port harms nothing.
    let listener = bind(args.address).await?;
    let settings = assemble::Settings {
        path: args.path,
        compat_etags: !args.no_compat,
        accept_signature_v2: !args.no_signature_v2,
    };
    let server = assemble::object_server(config, settings).await?;
    // Before anybody is told that there is something to stop.
    let signals = signals::listen();
    if !args.quiet {
        tell(&listener, tls.is_some())?;
    }
    serve(listener, tls, &certificates, server, signals).await;
    Ok(())
}

/// Listens, or says in one sentence why not.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    // The sentence has the cause in it.
    strongroom_transport::bind(address)
        .await
        .map_err(|error| anyhow!("{error}"))
}

/// Serves until a signal asks to end; SIGHUP reads certificates again.
async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    certificates: &Certificates,
    server: ObjectServer,
    mut signals: Signals,
) {
    let (stop, stopped) = shutdown();
    let serving = serve_until(listener, tls.clone(), server.service.clone(), stopped);
    let serving = tokio::spawn(serving);
    loop {
        let signal = tokio::time::timeout(RELOAD_EVERY, signals.recv()).await;
        match signal {
            Ok(Some(Signal::Stop) | None) => break,
            Ok(Some(Signal::Reload)) => {
                tracing::info!("reading certificates again");
                reload(certificates, tls.as_ref(), &server).await;
            }
            Err(_) => reload(certificates, tls.as_ref(), &server).await,
        }
    }
    tracing::info!("stopping: running requests may finish");
    stop.begin();
    tokio::select! {
        _ = serving => {}
        // Asked twice, the operator means now.
        _ = signals.stop() => {}
    }
}

/// What cannot be read stays as it is: a certificate that is being exchanged must not stop a server.
async fn reload(certificates: &Certificates, tls: Option<&Tls>, server: &ObjectServer) {
    if let (Some(tls), Some((certificate, private_key))) = (tls, &certificates.own) {
        let replaced = Identity::from_files(certificate, private_key, None)
            .map_err(anyhow::Error::from)
            .and_then(|identity| Ok(tls.replace(&identity, &ClientAuth::None)?));
        if let Err(error) = replaced {
            tracing::warn!("the server's certificate stays as it was: {error:#}");
        }
    }
    if let Err(error) = server.reload_kms().await {
        tracing::warn!(
            "the credentials for the key management system stay as they were: {error:#}"
        );
    }
}

/// Where the server's certificate and the authorities it trusts lie.
#[derive(Debug, Default)]
struct Certificates {
    own: Option<(PathBuf, PathBuf)>,
    authorities: Option<PathBuf>,
}

impl Certificates {
    fn find(args: &ServerArgs, env: &Environment) -> Result<Self> {
        if let (Some(certificate), Some(private_key)) = (&args.tls_cert, &args.tls_key) {
            let own = Some((certificate.clone(), private_key.clone()));
            return Ok(Self {
                own,
                authorities: None,
            });
        }
        match &args.certs_dir {
            Some(dir) => {
                let found = Self::in_dir(dir)?;
                if found.own.is_none() {
                    bail!(
                        "--certs-dir {}: there is no public.crt with private.key; \
                         leave the option out to serve without TLS",
                        dir.display()
                    );
                }
                Ok(found)
            }
            None => match env.get("HOME") {
                Some(home) => Self::in_dir(&Path::new(home).join(".minio/certs")),
                None => Ok(Self::default()),
            },
        }
    }

    fn in_dir(dir: &Path) -> Result<Self> {
        let [certificate, private_key] = ["public.crt", "private.key"].map(|name| dir.join(name));
        let own = match (certificate.exists(), private_key.exists()) {
            (true, true) => Some((certificate, private_key)),
            (false, false) => None,
            (true, false) => bail!("{} has no private.key beside it", certificate.display()),
            (false, true) => bail!("{} has no public.crt beside it", private_key.display()),
        };
        // An empty folder, as MinIO makes it, says nothing.
        let authorities = Some(dir.join("CAs"))
            .filter(|dir| std::fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some()));
        Ok(Self { own, authorities })
    }

    fn tls(&self) -> Result<Option<Tls>> {
        let Some((certificate, private_key)) = &self.own else {
            return Ok(None);
        };
        let identity = Identity::from_files(certificate, private_key, None)
            .with_context(|| format!("TLS cannot be served with {}", certificate.display()))?;
        Ok(Some(Tls::new(&identity, &ClientAuth::None)?))
    }
}

/// Says where the server listens: the one thing that is worth standard output.
fn tell(listener: &TcpListener, is_tls: bool) -> Result<()> {
    use std::io::Write as _;
    let scheme = if is_tls { "https" } else { "http" };
    let address = listener.local_addr()?;
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "Strongroom {} serves S3 at {scheme}://{host}:{}",
        env!("CARGO_PKG_VERSION"),
        address.port()
    );
    if !is_tls {
        let _ = writeln!(
            out,
            "Without TLS: clients cannot use keys of their own (SSE-C)."
        );
    }
    let _ = out.flush();
    Ok(())
}

/// Serves until told to stop. Shared with `dev`, which has its own certificates and signals.
pub(crate) async fn serve_until(
    listener: TcpListener,
    tls: Option<Tls>,
    service: ObjectService,
    stopped: strongroom_transport::ShutdownSignal,
) {
    let limits = Limits {
        drain_grace: DRAIN_GRACE,
        ..Limits::default()
    };
    let make_service = move |peer: &Peer| TellPeer::new(service.clone(), peer);
    strongroom_transport::serve(listener, tls, limits, make_service, stopped).await;
}
