//! Who is calling, and may they? The answer is a [`Permit`], which nothing else can make and every handler wants.

use std::net::IpAddr;

use http::HeaderMap;
use strongroom_kes_api::identity::of_peer;
use strongroom_kes_api::{Identity, KesError, path};
use strongroom_transport::certificate;

use crate::routes::{Auth, Route};
use crate::state::State;
use crate::trust::Client;

/// The proof that a request passed the checks of its route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permit {
    identity: Option<Identity>,
}

impl Permit {
    /// The caller, unless the route asks for nobody.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }
}

/// Who a request comes from, as far as it can be told: for the audit record, whatever the outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) identity: Option<Identity>,
    pub(crate) ip: Option<IpAddr>,
}

/// Checks a request against its route. `judged` is the decoded path that policies speak of.
pub(crate) fn authenticate(
    state: &State,
    client: &Client,
    route: &Route,
    judged: &str,
    headers: &HeaderMap,
) -> (Caller, Result<Permit, KesError>) {
    let mut caller = Caller {
        identity: None,
        ip: Some(client.peer().address().ip()),
    };
    let skips = state
        .config
        .api
        .get(route.path)
        .is_some_and(|settings| settings.skip_auth);
    if route.auth == Auth::None || skips {
        // Nobody is asked for; whoever showed a certificate all the same is named in the audit record.
        let _ = identify(state, client, headers, &mut caller);
        return (caller, Ok(Permit { identity: None }));
    }
    let outcome = identify(state, client, headers, &mut caller)
        .and_then(|identity| permit(state, route, judged, identity));
    (caller, outcome)
}

fn identify(
    state: &State,
    client: &Client,
    headers: &HeaderMap,
    caller: &mut Caller,
) -> Result<Identity, KesError> {
    if !client.peer().is_tls() {
        return Err(KesError::NO_TLS);
    }
    let identity = client.identity().map_err(Clone::clone)?;
    caller.identity = Some(identity);
    if !client.is_believed(state) {
        return Err(KesError::NOT_ALLOWED);
    }
    let is_proxy = state
        .config
        .tls
        .proxies
        .iter()
        .any(|proxy| proxy.identity() == Some(identity));
    if !is_proxy {
        return Ok(identity);
    }
    // Whatever the proxy's own rights, it speaks for others: without a client's certificate it is nobody.
    caller.identity = None;
    caller.ip = forwarded_ip(headers).or(caller.ip);
    let identity = forwarded_identity(state, headers)?;
    caller.identity = Some(identity);
    Ok(identity)
}

fn permit(
    state: &State,
    route: &Route,
    judged: &str,
    identity: Identity,
) -> Result<Permit, KesError> {
    let granted = Permit {
        identity: Some(identity),
    };
    if route.auth == Auth::Identity || state.config.admin.is(&identity) {
        return Ok(granted);
    }
    match state.policy_of(&identity) {
        Some((_, policy)) if policy.policy.allows(judged) => Ok(granted),
        _ => Err(KesError::NOT_ALLOWED),
    }
}

const DEFAULT_PROXY_HEADER: &str = "X-Tls-Client-Cert";

/// The client's certificate as a trusted proxy hands it on: URL-escaped PEM (`$ssl_client_escaped_cert` of nginx). CA
/// certificates beside it are skipped as in a handshake.
fn forwarded_identity(state: &State, headers: &HeaderMap) -> Result<Identity, KesError> {
    let name = state
        .config
        .tls
        .proxy_header
        .as_deref()
        .unwrap_or(DEFAULT_PROXY_HEADER);
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(KesError::new(400, "no client certificate is present")),
        (Some(_), Some(_)) => {
            return Err(KesError::new(
                400,
                "too many client certificates are present",
            ));
        }
    };
    let invalid = || KesError::new(400, "invalid client certificate");
    let escaped = value.to_str().map_err(|_| invalid())?;
    // Form encoding writes spaces as `+`; in the armour lines only, since `+` is a letter of base64.
    let escaped = escaped.replace("BEGIN+", "BEGIN ").replace("END+", "END ");
    let pem = path::decode(&escaped).map_err(|_| invalid())?;
    let chain = certificate::certificates(pem.as_bytes()).map_err(|_| invalid())?;
    let client = of_peer(&chain).map_err(|_| invalid())?;
    if let Some(roots) = &state.client_roots
        && !roots.verify(client.certificate, &chain)
    {
        return Err(KesError::NOT_ALLOWED);
    }
    Ok(client.identity)
}

fn forwarded_ip(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get("x-forwarded-for")?.to_str().ok()?;
    value.split(',').next()?.trim().parse().ok()
}
