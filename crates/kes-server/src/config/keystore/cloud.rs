//! `keystore.aws.secretsmanager`, `keystore.gcp.secretmanager`, `keystore.azure.keyvault`.

use strongroom_keystore::KeystoreConfig;
use strongroom_keystore::config::{
    Aws, AwsCredentials, Azure, AzureCredentials, Gcp, GcpCredentials, SecretText,
};

use super::Store;
use crate::config::ConfigError;

/// Each setting also under its name of v0.5 to v0.7.
pub(super) fn aws(aws: &mut Store<'_, '_, '_>) -> Result<KeystoreConfig, ConfigError> {
    let endpoint = aws.needs(&["endpoint", "address"])?;
    let region = aws.needs(&["region"])?;
    let kms_key = aws.may(&["kmskey", "kms_key_id"])?;
    let credentials = aws.within("credentials", |section| {
        let access_key = section.may(&["accesskey", "access_key"])?;
        let secret_key = section.may_secret(&["secretkey", "secret_key"])?;
        let session_token = section.may_secret(&["token", "session_token"])?;
        match (access_key, secret_key) {
            (Some(access_key), Some(secret_key)) => Ok(Some(AwsCredentials {
                access_key,
                secret_key,
                session_token,
            })),
            (None, None) if session_token.is_none() => Ok(None),
            (None, _) => Err(section.invalid("no credentials accesskey specified")),
            (_, None) => Err(section.invalid("no credentials secretkey specified")),
        }
    })?;
    Ok(KeystoreConfig::Aws(Box::new(Aws {
        endpoint,
        region,
        kms_key,
        credentials,
    })))
}

pub(super) fn gcp(gcp: &mut Store<'_, '_, '_>) -> Result<KeystoreConfig, ConfigError> {
    let project_id = gcp.needs(&["project_id"])?;
    let endpoint = gcp.may(&["endpoint"])?;
    let scopes = gcp.reader.texts(&mut gcp.section, "scopes", true)?;
    let scopes = scopes.into_iter().map(|scope| scope.text.trim().to_owned());
    let scopes = scopes.filter(|scope| !scope.is_empty()).collect();
    let credentials = gcp.within("credentials", |section| {
        let client_email = section.may(&["client_email"])?;
        let client_id = section.may(&["client_id"])?;
        let private_key_id = section.may(&["private_key_id"])?;
        let private_key = section.may_secret(&["private_key"])?;
        match (client_email, client_id, private_key_id, private_key) {
            (None, None, None, None) => Ok(None),
            (Some(client_email), Some(client_id), Some(private_key_id), Some(private_key)) => {
                // On one line, the line ends are two characters each.
                let private_key = SecretText::new(private_key.expose().replace("\\n", "\n"));
                Ok(Some(GcpCredentials {
                    client_email,
                    client_id,
                    private_key_id,
                    private_key,
                }))
            }
            _ => Err(section.invalid(
                "credentials need all of client_email, client_id, private_key_id and private_key, or none of them",
            )),
        }
    })?;
    Ok(KeystoreConfig::Gcp(Box::new(Gcp {
        project_id,
        endpoint,
        scopes,
        credentials,
    })))
}

pub(super) fn azure(azure: &mut Store<'_, '_, '_>) -> Result<KeystoreConfig, ConfigError> {
    let endpoint = azure.needs(&["endpoint"])?;
    let names_credentials = azure.section.peek("credentials").is_some();
    let names_machine = azure.section.peek("managed_identity").is_some();
    let application = azure.within("credentials", |section| {
        let tenant_id = section.may(&["tenant_id"])?;
        let client_id = section.may(&["client_id"])?;
        let client_secret = section.may_secret(&["client_secret"])?;
        match (tenant_id, client_id, client_secret) {
            (None, None, None) => Ok(None),
            (Some(tenant_id), Some(client_id), Some(client_secret)) => {
                Ok(Some(AzureCredentials::ClientSecret {
                    tenant_id,
                    client_id,
                    client_secret,
                }))
            }
            _ => Err(section.invalid(
                "credentials need all of tenant_id, client_id and client_secret, or none of them",
            )),
        }
    })?;
    let machine = azure.within("managed_identity", |section| section.may(&["client_id"]))?;
    let credentials = match (application, machine) {
        (Some(_), Some(_)) => {
            return Err(azure.invalid(
                "more than one login specified; leave one of credentials and managed_identity",
            ));
        }
        (Some(application), None) => application,
        (None, Some(client_id)) => AzureCredentials::ManagedIdentity {
            client_id: Some(client_id),
        },
        // A sample with both sections blank asks for nothing in particular.
        (None, None) if names_machine && !names_credentials => {
            AzureCredentials::ManagedIdentity { client_id: None }
        }
        (None, None) => AzureCredentials::Default,
    };
    Ok(KeystoreConfig::Azure(Box::new(Azure {
        endpoint,
        credentials,
        ca: azure.may_ca()?,
    })))
}
