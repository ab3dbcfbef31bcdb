//! Why a call of an appliance failed: variants by what may be done next.

use std::fmt;
use std::sync::Arc;

/// Vendors' texts are cut here: a proxy in between answers with whole pages.
const MESSAGE_CHARS_MAX: usize = 200;

/// One call, or a series of attempts, that came to nothing. Cheap to clone: callers that wait for one login share
/// its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The request never left: no address, no route, no handshake.
    #[error("no connection")]
    NotConnected(#[source] Arc<reqwest::Error>),
    /// The request left and no whole answer came back. It may have been carried out.
    #[error("no answer")]
    NoAnswer(#[source] Arc<reqwest::Error>),
    /// The time for the whole operation is over. It may have been carried out.
    #[error("no answer within {0} s")]
    TooSlow(u64),
    /// The appliance answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// An answer that is not the vendor's: from a proxy, or of another version. The call may have been carried out.
    #[error("the answer is not understood: {0}")]
    Garbled(String),
    /// The name is taken.
    #[error("exists already")]
    Exists,
    /// There is no such name.
    #[error("does not exist")]
    NotFound,
    /// What lies there cannot be used; the sentence says why and what to do.
    #[error("{0}")]
    Unusable(String),
    /// There was no token to make the call with.
    #[error("login failed")]
    Login(#[source] Box<Self>),
}

/// An error as the vendor words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The vendor's own code, where there is one.
    pub code: Option<String>,
    /// The vendor's text, shortened, without any secret of the request.
    pub message: Option<String>,
}

impl Refusal {
    /// Bounds and cleans what the vendor sent.
    pub fn new(status: u16, code: Option<&str>, message: Option<&str>) -> Self {
        let clean = |text: &str| -> Option<String> {
            let shown: String = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(MESSAGE_CHARS_MAX)
                .collect();
            let shown = shown.trim();
            (!shown.is_empty()).then(|| shown.to_owned())
        };
        Self {
            status,
            code: code.and_then(clean),
            message: message.and_then(clean),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl Failure {
    /// May another attempt end better? Time-outs, cut connections and errors of the server: those pass.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::NotConnected(error) => error.is_timeout(),
            Self::Refused(refusal) => refusal.status >= 500,
            _ => false,
        }
    }

    /// May the call have been carried out all the same?
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::TooSlow(_) | Self::Garbled(_) => true,
            Self::Refused(refusal) => refusal.status >= 500,
            _ => false,
        }
    }

    /// Is nobody there who could answer? A gateway's error says the same as silence (RFC 9110 §15.6.3 to §15.6.5).
    pub fn is_absence(&self) -> bool {
        match self {
            Self::NotConnected(_) | Self::NoAnswer(_) | Self::TooSlow(_) => true,
            Self::Refused(refusal) => matches!(refusal.status, 502..=504),
            Self::Login(below) => below.is_absence(),
            _ => false,
        }
    }

    /// Did the appliance refuse who we are, and with which status?
    pub fn unauthorized(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => matches!(refusal.status, 401 | 403).then_some(refusal.status),
            _ => None,
        }
    }
}
