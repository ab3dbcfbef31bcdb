//! The routes as a table: what a request has to be before a handler sees it.

use std::time::Duration;

use strongroom_kes_api::body::REQUEST_BYTES_MAX;
use strongroom_kes_api::path;

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// One that ends in `/` takes an argument.
    pub(crate) path: &'static str,
    pub(crate) auth: Auth,
    /// Bytes of the body that are read; 0 ignores it.
    pub(crate) body_max: usize,
    /// Zero: none.
    pub(crate) timeout: Duration,
    pub(crate) handler: Handler,
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Everybody.
    None,
    /// Whoever shows a client certificate.
    Identity,
    /// The admin, or a policy allows it.
    Policy,
}

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handler {
    Version,
    Ready,
    Status,
    Metrics,
    Api,
    KeyCreate,
    KeyImport,
    KeyDescribe,
    KeyDelete,
    KeyList,
    KeyGenerate,
    KeyEncrypt,
    KeyDecrypt,
    KeyBulkDecrypt,
    KeyHmac,
    PolicyDescribe,
    PolicyRead,
    PolicyList,
    IdentityDescribe,
    IdentityList,
    SelfDescribe,
    LogError,
    LogAudit,
}

const SHORT: Duration = Duration::from_secs(10);
const NORMAL: Duration = Duration::from_secs(15);
const BULK_BYTES_MAX: usize = strongroom_kes_api::body::BULK_REQUEST_BYTES_MAX;

const fn row(
    method: &'static str,
    path: &'static str,
    auth: Auth,
    body_max: usize,
    timeout: Duration,
    handler: Handler,
) -> Route {
    Route {
        method,
        path,
        auth,
        body_max,
        timeout,
        handler,
    }
}

/// Every route that is served.
pub(crate) const ROUTES: [Route; 25] = [
    row("GET", path::VERSION, Auth::None, 0, SHORT, Handler::Version),
    row("GET", path::READY, Auth::Policy, 0, NORMAL, Handler::Ready),
    row(
        "GET",
        path::STATUS,
        Auth::Policy,
        0,
        NORMAL,
        Handler::Status,
    ),
    row(
        "GET",
        path::METRICS,
        Auth::Policy,
        0,
        NORMAL,
        Handler::Metrics,
    ),
    row("GET", path::API, Auth::Policy, 0, SHORT, Handler::Api),
    row(
        "PUT",
        path::KEY_CREATE,
        Auth::Policy,
        0,
        NORMAL,
        Handler::KeyCreate,
    ),
    row(
        "PUT",
        path::KEY_IMPORT,
        Auth::Policy,
        REQUEST_BYTES_MAX,
        NORMAL,
        Handler::KeyImport,
    ),
    row(
        "GET",
        path::KEY_DESCRIBE,
        Auth::Policy,
        0,
        NORMAL,
        Handler::KeyDescribe,
    ),
    row(
        "DELETE",
        path::KEY_DELETE,
        Auth::Policy,
        0,
        NORMAL,
        Handler::KeyDelete,
    ),
    row(
        "GET",
        path::KEY_LIST,
        Auth::Policy,
        0,
        NORMAL,
        Handler::KeyList,
    ),
    row(
        "PUT",
        path::KEY_GENERATE,
        Auth::Policy,
        REQUEST_BYTES_MAX,
        NORMAL,
        Handler::KeyGenerate,
    ),
    row(
        "PUT",
        path::KEY_ENCRYPT,
        Auth::Policy,
        REQUEST_BYTES_MAX,
        NORMAL,
        Handler::KeyEncrypt,
    ),
    row(
        "PUT",
        path::KEY_DECRYPT,
        Auth::Policy,
        REQUEST_BYTES_MAX,
        NORMAL,
        Handler::KeyDecrypt,
    ),
    // Of 2022 and 2023: MinIO of that time decrypts by 250.
    row(
        "PUT",
        path::KEY_BULK_DECRYPT,
        Auth::Policy,
        BULK_BYTES_MAX,
        NORMAL,
        Handler::KeyBulkDecrypt,
    ),
    row(
        "PUT",
        path::KEY_HMAC,
        Auth::Policy,
        REQUEST_BYTES_MAX,
        NORMAL,
        Handler::KeyHmac,
    ),
    row(
        "GET",
        path::POLICY_DESCRIBE,
        Auth::Policy,
        0,
        NORMAL,
        Handler::PolicyDescribe,
    ),
    row(
        "GET",
        path::POLICY_READ,
        Auth::Policy,
        0,
        NORMAL,
        Handler::PolicyRead,
    ),
    row(
        "GET",
        path::POLICY_LIST,
        Auth::Policy,
        0,
        NORMAL,
        Handler::PolicyList,
    ),
    row(
        "GET",
        path::IDENTITY_DESCRIBE,
        Auth::Policy,
        0,
        NORMAL,
        Handler::IdentityDescribe,
    ),
    row(
        "GET",
        path::IDENTITY_LIST,
        Auth::Policy,
        0,
        NORMAL,
        Handler::IdentityList,
    ),
    row(
        "GET",
        path::IDENTITY_SELF_DESCRIBE,
        Auth::Identity,
        0,
        NORMAL,
        Handler::SelfDescribe,
    ),
    row(
        "GET",
        path::LOG_ERROR,
        Auth::Policy,
        0,
        Duration::ZERO,
        Handler::LogError,
    ),
    row(
        "GET",
        path::LOG_AUDIT,
        Auth::Policy,
        0,
        Duration::ZERO,
        Handler::LogAudit,
    ),
    // As servers of 2022 and before called them.
    row(
        "GET",
        path::LOG_ERROR_TRACE,
        Auth::Policy,
        0,
        Duration::ZERO,
        Handler::LogError,
    ),
    row(
        "GET",
        path::LOG_AUDIT_TRACE,
        Auth::Policy,
        0,
        Duration::ZERO,
        Handler::LogAudit,
    ),
];

/// Routes of older servers that change policies and identities, which this server takes from its configuration, and those of
/// the experimental servers of 2022 and 2023. Saying so helps more than "not found", and clients take 501 for a healthy
/// endpoint.
const UNIMPLEMENTED: [&str; 9] = [
    path::POLICY_WRITE,
    path::POLICY_ASSIGN,
    path::POLICY_DELETE,
    path::IDENTITY_ASSIGN,
    path::IDENTITY_FORGET,
    path::IDENTITY_DELETE,
    "/v1/cluster/",
    "/v1/enclave/",
    "/v1/secret/",
];

/// Where a clean, decoded path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Destination<'p> {
    /// To this route, with this argument.
    Route(&'static Route, &'p str),
    /// To this route after its `/` was added.
    Redirect(String),
    Unimplemented,
    Unknown,
}

impl Destination<'_> {
    pub(crate) fn of(decoded: &str) -> Destination<'_> {
        for route in &ROUTES {
            if route.path == decoded {
                return Destination::Route(route, "");
            }
            if let Some(argument) = path::argument(route.path, decoded) {
                return Destination::Route(route, argument);
            }
        }
        if let Some(route) = ROUTES
            .iter()
            .find(|r| r.path.strip_suffix('/') == Some(decoded))
        {
            // A list without slash lists everything; a redirect would only cost policies that grant `…/list/*` a call.
            let is_list = matches!(
                route.handler,
                Handler::KeyList | Handler::PolicyList | Handler::IdentityList
            );
            if is_list {
                return Destination::Route(route, "");
            }
            return Destination::Redirect(route.path.to_owned());
        }
        if UNIMPLEMENTED
            .iter()
            .any(|prefix| decoded.starts_with(prefix))
        {
            return Destination::Unimplemented;
        }
        Destination::Unknown
    }
}

/// The route that a configuration means: its path, spelt exactly so.
pub(crate) fn named(path: &str) -> Option<&'static str> {
    ROUTES
        .iter()
        .map(|route| route.path)
        .find(|known| *known == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(decoded: &str) -> Option<(Handler, &str)> {
        match Destination::of(decoded) {
            Destination::Route(route, argument) => Some((route.handler, argument)),
            _ => None,
        }
    }

    #[test]
    fn paths_lead_to_their_routes() {
        assert_eq!(
            handler("/v1/key/create/a/b"),
            Some((Handler::KeyCreate, "a/b"))
        );
        assert_eq!(handler("/v1/key/list"), Some((Handler::KeyList, "")));
        assert_eq!(
            handler("/v1/identity/self/describe"),
            Some((Handler::SelfDescribe, ""))
        );
        for unknown in [
            "/",
            "/v1/status/",
            "/v1/status/x",
            "/version/",
            "/v1/key/",
            "/v1/key/bulk/x",
        ] {
            assert_eq!(Destination::of(unknown), Destination::Unknown, "{unknown}");
        }
        for unimplemented in [
            "/v1/policy/write/x",
            "/v1/policy/assign/x",
            "/v1/policy/delete/x",
            "/v1/identity/assign/p/x",
            "/v1/identity/forget/x",
            "/v1/identity/delete/x",
            "/v1/enclave/create/x",
            "/v1/secret/read/x",
            "/v1/cluster/describe",
        ] {
            assert_eq!(
                Destination::of(unimplemented),
                Destination::Unimplemented,
                "{unimplemented}"
            );
        }
        assert_eq!(
            handler("/v1/log/audit/trace"),
            Some((Handler::LogAudit, ""))
        );
        assert_eq!(
            handler("/v1/log/error/trace"),
            Some((Handler::LogError, ""))
        );
        assert_eq!(
            Destination::of("/v1/key/create"),
            Destination::Redirect("/v1/key/create/".into())
        );
    }
}
