//! Request paths, before any policy sees them.

use strongroom_kes_api::path::{argument, cleaned, decode, escaped, with_argument};

/// Any text as a request's path.
pub fn read(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(decoded) = decode(raw) else {
        assert!(raw.contains('%'));
        return;
    };
    // Escaping loses nothing.
    assert_eq!(decode(&escaped(&decoded)).as_deref(), Ok(&*decoded));
    let whole = with_argument("/v1/key/create/", &decoded);
    let back = decode(&whole).expect("our own escapes are whole");
    assert_eq!(argument("/v1/key/create/", &back), Some(&*decoded));
    assert_eq!(whole.matches('/').count(), 4, "an argument is one segment");

    let clean = match cleaned(&decoded) {
        Some(clean) => {
            assert_ne!(clean, decoded, "a redirect to itself");
            assert_eq!(cleaned(&clean), None, "a redirect to an unclean path");
            clean
        }
        None => decoded.into_owned(),
    };
    assert!(clean.starts_with('/') && !clean.contains("//"));
    assert!(
        clean
            .split('/')
            .all(|segment| segment != "." && segment != "..")
    );
}
