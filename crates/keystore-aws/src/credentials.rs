//! Who we are to AWS.

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_secretsmanager::config::Region;
use strongroom_keystore::config::AwsCredentials;

use crate::line::{Line, retries};

/// What the SDK calls credentials of ours in its own traces.
const PROVIDER_NAME: &str = "configuration";

/// The credentials of the configuration, or the default chain of AWS: environment, profile files, web identity (STS),
/// container, instance (IMDSv2). Asks nobody yet.
pub(crate) async fn provider(
    given: Option<&AwsCredentials>,
    region: &str,
    line: &Line,
) -> SharedCredentialsProvider {
    if let Some(given) = given {
        let token = given.session_token.as_ref();
        return SharedCredentialsProvider::new(Credentials::new(
            given.access_key.clone(),
            given.secret_key.expose(),
            token.map(|t| t.expose().to_owned()),
            None,
            PROVIDER_NAME,
        ));
    }
    let region = Region::new(region.to_owned());
    let config = ProviderConfig::without_region()
        .with_region(Some(region.clone()))
        .with_http_client(line.client())
        .with_retry_config(retries());
    // The metadata of an instance is behind no proxy: it has an address of the link.
    let metadata = imds::Client::builder()
        .configure(&ProviderConfig::without_region())
        .build();
    let chain = DefaultCredentialsChain::builder()
        .region(region)
        .configure(config)
        .imds_client(metadata)
        .build()
        .await;
    SharedCredentialsProvider::new(chain)
}

/// Gets credentials and says of what kind they are, never what they are.
pub(crate) async fn kind(
    provider: &SharedCredentialsProvider,
) -> Result<&'static str, CredentialsError> {
    let credentials = provider.provide_credentials().await?;
    let features = credentials.get_property::<Vec<Feature>>();
    let mut kinds = features.into_iter().flatten().filter_map(|f| match f {
        Feature::CredentialsEnvVars => Some("the environment"),
        Feature::CredentialsProfile | Feature::CredentialsProfileSourceProfile => {
            Some("a profile file")
        }
        Feature::CredentialsStsAssumeRoleWebId | Feature::CredentialsProfileStsWebIdToken => {
            Some("a web identity token, exchanged at STS")
        }
        Feature::CredentialsStsAssumeRole => Some("a role assumed at STS"),
        Feature::CredentialsHttp => Some("the container's credentials endpoint"),
        Feature::CredentialsImds => Some("the role of this instance (IMDSv2)"),
        _ => None,
    });
    // The outermost is named last.
    Ok(kinds.next_back().unwrap_or("the configuration"))
}
