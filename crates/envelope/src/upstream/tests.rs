use super::*;

const KEY: &str =
    "IAAfAMBdYor5tf/UlVaQvwYlw5yKbPBeQqfygqsfHqhu1wHD9KDAP4bw38AhL12prFTS23JbbR9Re5Qv26ZnlQ==";
const IV_TEXT: &str = "coVfGS3I/CTrqexX5vUN+PQPoP9aUFiPYYrSzqTWfBA=";

fn entries() -> Vec<(&'static str, &'static str)> {
    vec![
        ("X-Minio-Internal-Server-Side-Encryption-Iv", IV_TEXT),
        (
            "X-Minio-Internal-Server-Side-Encryption-Seal-Algorithm",
            "DAREv2-HMAC-SHA256",
        ),
        ("X-Minio-Internal-Server-Side-Encryption-S3-Sealed-Key", KEY),
        ("X-Minio-Internal-Server-Side-Encryption-S3-Kms-Key-Id", "k"),
        (
            "X-Minio-Internal-Server-Side-Encryption-S3-Kms-Sealed-Key",
            "AAAA",
        ),
        ("content-type", "text/plain"),
    ]
}

#[test]
fn object_without_any_entry_is_plain() {
    let plain = [("etag", "x"), ("X-Minio-Internal-actual-size", "5")];
    assert_eq!(UpstreamRecord::parse(plain), Ok(None));
}

#[test]
fn object_whose_entries_are_incomplete_or_odd_is_damaged_never_plain() {
    assert_eq!(
        UpstreamRecord::parse(entries()).unwrap().unwrap().scheme(),
        Scheme::SseS3
    );
    for missing in 0..5 {
        let mut entries = entries();
        let (name, _) = entries.remove(missing);
        assert!(UpstreamRecord::parse(entries).is_err(), "without {name}");
    }
    for (index, value) in [
        (0, "AAAA"),
        (0, ""),
        (1, "DARE-SHA256"),
        (1, "x"),
        (2, "AAAA"),
        (4, "A"),
        (2, ""),
    ] {
        let mut entries = entries();
        entries[index].1 = value;
        assert!(UpstreamRecord::parse(entries).is_err(), "{index}: {value}");
    }
    let mut twice = entries();
    twice.push(("x-minio-internal-server-side-encryption-iv", IV_TEXT));
    assert!(UpstreamRecord::parse(twice).is_err());
    for lone in [MULTIPART, CONTEXT, KEY_NAME] {
        assert!(UpstreamRecord::parse([(lone, "")]).is_err(), "{lone}");
    }
}
