use super::*;

fn vault(text: &str) -> Url {
    endpoint(text).unwrap()
}

#[test]
fn an_endpoint_is_https_and_needs_no_scheme() {
    for given in [
        "https://v.vault.azure.net",
        "v.vault.azure.net",
        " https://v.vault.azure.net/ ",
    ] {
        assert_eq!(
            vault(given).as_str(),
            "https://v.vault.azure.net/",
            "{given}"
        );
    }
    let plain = endpoint("http://v.vault.azure.net")
        .unwrap_err()
        .to_string();
    assert!(
        plain.contains("https://") && plain.contains("unencrypted"),
        "{plain}"
    );
    for given in [
        "",
        "https://",
        "ftp://x",
        "https://u:p@host",
        "https://host?x=1",
    ] {
        let error = endpoint(given).unwrap_err().to_string();
        assert!(
            error.contains("azure.keyvault.endpoint"),
            "{given}: {error}"
        );
    }
}

#[test]
fn a_challenge_names_the_resource_in_either_way() {
    let vault = vault("https://v.vault.azure.net");
    for challenge in [
        r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net""#,
        r#"Bearer authorization="https://login.microsoftonline.com/t", scope="https://vault.azure.net/.default""#,
    ] {
        assert_eq!(
            resource_of(challenge, &vault).unwrap(),
            "https://vault.azure.net"
        );
    }
}

#[test]
fn a_server_gets_no_token_for_what_it_does_not_belong_to() {
    for (host, resource) in [
        ("https://v.vault.azure.net", "https://management.azure.com"),
        ("https://evilvault.azure.net", "https://vault.azure.net"),
        ("https://v.vault.azure.net", "http://vault.azure.net"),
        ("https://v.vault.azure.net", ""),
    ] {
        let challenge = format!(r#"Bearer authorization="https://l/t", resource="{resource}""#);
        let refused = resource_of(&challenge, &vault(host));
        assert!(refused.is_err(), "{host} {resource}: {refused:?}");
    }
    assert!(resource_of("Basic realm=\"x\"", &vault("https://v.vault.azure.net")).is_err());
}
