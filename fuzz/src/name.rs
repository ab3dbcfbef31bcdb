//! Names, list patterns and their tokens, identities, API keys.

use strongroom_kes_api::{
    AdminIdentity, ApiKey, Identity, IdentityName, KeyName, ListPattern, PolicyName, base64,
};
use zeroize::Zeroizing;

/// Any text as a name: what may be created may be read, and nothing in it could leave a folder or a path.
pub fn read(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let key = KeyName::parse(text);
    assert_eq!(key.is_ok(), PolicyName::parse(text).is_ok());
    assert_eq!(key.is_ok(), IdentityName::parse(text).is_ok());
    if KeyName::for_create(text).is_ok() {
        assert!(key.is_ok());
    }
    if let Ok(name) = key {
        assert_eq!(name.as_str(), text);
        let is_safe = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        assert!(!text.is_empty() && text.len() <= 80 && text.bytes().all(is_safe));
    }
}

/// A pattern, and names in lines behind it: pages of any size give each name that matches once, in order.
pub fn list(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let Some(first) = lines.next() else {
        return;
    };
    let Ok(pattern) = ListPattern::parse(first) else {
        return;
    };
    let names: Vec<&str> = lines
        .filter(|name| KeyName::parse(name).is_ok())
        .take(32)
        .collect();
    let mut expected: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| {
            name.starts_with(pattern.prefix()) && pattern.resume_at().is_none_or(|at| *name >= at)
        })
        .collect();
    expected.sort_unstable();
    expected.dedup();
    for size in [1, 3] {
        let mut listed = Vec::new();
        let mut at = pattern.clone();
        loop {
            let (page, token) = at.page(names.iter().copied(), size);
            assert!(page.len() <= size);
            listed.extend(page);
            let Some(token) = token else { break };
            assert!(listed.len() <= names.len(), "a listing without end");
            at = ListPattern::parse(&token).expect("our own token reads");
            assert_eq!(at.prefix(), pattern.prefix(), "a token for another prefix");
        }
        assert_eq!(listed, expected);
    }
}

/// Any text as an identity, an API key, base64.
pub fn read_identity(data: &[u8]) {
    let _ = ApiKey::from_pkcs8_der(data);
    assert_eq!(
        base64::decode(&base64::encode(data))
            .as_deref()
            .map(Vec::as_slice),
        Ok(data)
    );
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.to_string(), text);
        assert!(AdminIdentity::parse(text).is(&identity));
    } else {
        assert_eq!(AdminIdentity::parse(text).identity(), None);
    }
    assert_eq!(AdminIdentity::parse(text).to_string(), text);
    if let Ok(key) = ApiKey::parse(text) {
        let again = ApiKey::parse(&key.expose()).expect("what was written reads");
        assert_eq!(key.identity(), again.identity());
        let from_der = ApiKey::from_pkcs8_der(&key.expose_pkcs8_der()).expect("its own PKCS#8");
        assert_eq!(key.identity(), from_der.identity());
    }
    match base64::decode(text) {
        Ok(bytes) => {
            let bytes: Zeroizing<Vec<u8>> = bytes;
            let written = base64::encode(&bytes);
            assert_eq!(base64::decode(&written).as_deref(), Ok(&*bytes));
            assert_eq!(written.len(), base64::encoded_len(&bytes));
        }
        Err(error) => assert!(error.offset <= text.len()),
    }
}
