//! moto's server: Secrets Manager, STS, IAM and the metadata of an instance, in one.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};
use strongroom_keystore::config::{Aws, AwsCredentials, SecretText};
use strongroom_keystore_aws::AwsStore;
use strongroom_peers::{Peer, free_port, tool};
use tempfile::TempDir;

/// Its lookups and insertions are not atomic, so a thread ends its request before another goes on.
const START: &str =
    "import sys; sys.setswitchinterval(1000); from moto.server import main; main(sys.argv[1:])";

pub(crate) struct Moto {
    pub(crate) peer: Peer,
    pub(crate) folder: TempDir,
}

static REGIONS: AtomicUsize = AtomicUsize::new(0);

impl Moto {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// That checks signatures and policies.
    pub(crate) fn start_strict() -> Option<Self> {
        Self::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", "0")])
    }

    fn start_with(env: &[(&str, &str)]) -> Option<Self> {
        tool("moto_server")?;
        let python = tool("python")?;
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().unwrap();
        let args = ["-c", START, "-p", &port.to_string()];
        // Any region will do: secrets of different ones do not meet.
        let mut env = env.to_vec();
        env.push(("MOTO_ALLOW_NONEXISTENT_REGION", "true"));
        let peer = Peer::start(&python, &args, &env, port, folder.path()).unwrap();
        Some(Self { peer, folder })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.peer.address)
    }

    /// The configuration of a store of its own: secrets lie in regions.
    pub(crate) fn config(&self) -> Aws {
        let nth = REGIONS.fetch_add(1, Ordering::Relaxed);
        Aws {
            endpoint: self.url(),
            region: format!("us-test-{nth}"),
            kms_key: None,
            credentials: Some(some_credentials()),
        }
    }

    pub(crate) async fn store(&self) -> AwsStore {
        AwsStore::open(self.config()).await.unwrap()
    }

    /// Amazon's own client, to look at what lies there.
    pub(crate) fn look(&self, region: &str) -> Client {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .endpoint_url(self.url())
            .credentials_provider(credentials)
            .build();
        Client::from_conf(config)
    }
}

pub(crate) fn some_credentials() -> AwsCredentials {
    AwsCredentials {
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_key: SecretText::new("wJalrXUtnFEMI-EXAMPLE-secret".to_owned()),
        session_token: None,
    }
}
