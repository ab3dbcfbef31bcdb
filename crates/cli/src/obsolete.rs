//! Verbs of older ages that mean nothing to a server whose policies are a file. Each ends with one sentence.

use clap::Args;

use crate::secret_argument::SecretArgument;
use crate::shell::Shell;

/// Whatever arguments an old verb had.
#[derive(Debug, Args)]
pub struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    // `kes secret create NAME VALUE` held a secret.
    _rest: Vec<SecretArgument>,
}

/// A verb that is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Enclave,
    IdentityAssign,
    IdentityForget,
    Init,
    PolicyAssign,
    PolicyCreate,
    PolicyRemove,
    Secret,
}

impl Verb {
    /// The sentence.
    pub(crate) fn refuse(self, shell: &Shell<'_>) -> anyhow::Error {
        let (verb, why) = match self {
            Self::Enclave => (
                "enclave",
                "a key server has one set of keys; run a server for each tenant, or give each a prefix of names by policy",
            ),
            Self::IdentityAssign => (
                "identity assign",
                "write the identity under 'policy.NAME.identities' of the server's configuration file and send it SIGHUP",
            ),
            Self::IdentityForget => (
                "identity forget",
                "remove the identity from 'policy.NAME.identities' of the server's configuration file and send it SIGHUP",
            ),
            Self::Init => (
                "init",
                "a key server has no state of its own; write a configuration file and start 'kes server --config FILE'",
            ),
            Self::PolicyAssign => (
                "policy assign",
                "write the identity under 'policy.NAME.identities' of the server's configuration file and send it SIGHUP",
            ),
            Self::PolicyCreate => (
                "policy create",
                "write the policy under 'policy' of the server's configuration file and send it SIGHUP",
            ),
            Self::PolicyRemove => (
                "policy rm",
                "remove the policy from 'policy' of the server's configuration file and send it SIGHUP",
            ),
            Self::Secret => (
                "secret",
                "a key server holds keys only; use a vault for other secrets",
            ),
        };
        anyhow::anyhow!("'{} {verb}' changes nothing any more: {why}", shell.program)
    }
}
