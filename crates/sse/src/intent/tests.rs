use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::*;

const TLS: ConnectionSecurity = ConnectionSecurity { tls: true };

fn customer(key: &[u8]) -> CustomerHeaders {
    CustomerHeaders {
        algorithm: Some("AES256".into()),
        key: Some(Zeroizing::new(STANDARD.encode(key))),
        key_md5: Some(STANDARD.encode(Md5::digest(key))),
    }
}

fn asked(algorithm: Option<&str>, key: Option<&str>, context: Option<&str>) -> Asked {
    Asked {
        algorithm: algorithm.map(Into::into),
        key: key.map(Into::into),
        context: context.map(|json| STANDARD.encode(json)),
        ..Asked::default()
    }
}

fn around(bucket: Option<&BucketEncryption>) -> Surroundings<'_> {
    Surroundings {
        bucket,
        auto: AutoEncryption::Off,
        has_kms: true,
        security: TLS,
    }
}

fn bucket(algorithm: DefaultAlgorithm) -> BucketEncryption {
    BucketEncryption {
        algorithm,
        bucket_key: None,
        blocks_customer_keys: false,
    }
}

/// The intent, or the error's code, in few words.
fn told(result: S3Result<Intent>) -> String {
    match result {
        Ok(Intent::Plain) => "plain".into(),
        Ok(Intent::SseS3) => "s3".into(),
        Ok(Intent::SseC(_)) => "c".into(),
        Ok(Intent::SseKms {
            key,
            context,
            bucket_key,
        }) => format!(
            "kms {} {}{}",
            key.as_deref().unwrap_or("-"),
            context.canonical(),
            if bucket_key { " bucket-key" } else { "" }
        ),
        Err(error) => error.code().as_str().to_owned(),
    }
}

#[test]
fn headers_decide_and_wrong_ones_are_told() {
    let table = [
        (None, None, None, "plain"),
        (Some("AES256"), None, None, "s3"),
        (Some("aws:kms"), None, None, "kms - {}"),
        (Some("aws:kms"), Some(""), None, "kms - {}"),
        (Some("aws:kms"), Some("k"), None, "kms k {}"),
        (Some("aws:kms"), Some("arn:aws:kms:k"), None, "kms k {}"),
        (
            Some("aws:kms"),
            Some("k"),
            Some(r#"{"a":"b"}"#),
            r#"kms k {"a":"b"}"#,
        ),
        (Some("aws:kms"), Some("k "), None, "InvalidArgument"),
        (Some("aws:kms"), None, Some("[]"), "InvalidArgument"),
        (
            Some("aws:kms"),
            None,
            Some(r#"{"strongroom:bucket-key":"v1"}"#),
            "InvalidArgument",
        ),
        (Some("aws:kms:dsse"), None, None, "NotImplemented"),
        (Some("aes:kms"), None, None, "InvalidArgument"),
        (Some("aes256"), None, None, "InvalidArgument"),
        (Some("AES256"), Some("k"), None, "InvalidArgument"),
        (
            Some("AES256"),
            None,
            Some(r#"{"a":"b"}"#),
            "InvalidArgument",
        ),
        (None, Some("k"), None, "InvalidArgument"),
    ];
    for (algorithm, key, context, expected) in table {
        let result = asked(algorithm, key, context).resolve(around(None));
        assert_eq!(told(result), expected, "{algorithm:?} {key:?} {context:?}");
    }
}

#[test]
fn lesson_26_one_resolver_decides_between_headers_bucket_and_automatic() {
    let s3 = bucket(DefaultAlgorithm::SseS3);
    let kms = bucket(DefaultAlgorithm::SseKms {
        key: Some("arn:aws:kms:b".into()),
    });
    let kms_default = bucket(DefaultAlgorithm::SseKms { key: None });
    let auto = [
        AutoEncryption::Off,
        AutoEncryption::SseS3,
        AutoEncryption::SseKms,
    ];
    let none = ["plain", "s3", "kms - {}"];
    for (auto, alone) in auto.into_iter().zip(none) {
        for (bucket, default) in [
            (None, alone),
            (Some(&s3), "s3"),
            (Some(&kms), "kms b {}"),
            (Some(&kms_default), "kms - {}"),
        ] {
            let around = Surroundings {
                auto,
                ..around(bucket)
            };
            assert_eq!(told(Asked::default().resolve(around)), default);
            // An AES256 request does not inherit the bucket's key, nor does a bare aws:kms.
            assert_eq!(
                told(asked(Some("AES256"), None, None).resolve(around)),
                "s3"
            );
            assert_eq!(
                told(asked(Some("aws:kms"), None, None).resolve(around)),
                "kms - {}"
            );
            let own = Asked {
                customer: customer(&[1; 32]),
                ..Asked::default()
            };
            assert_eq!(told(own.resolve(around)), "c");
            assert_eq!(
                told(asked(Some("nonsense"), None, None).resolve(around)),
                "InvalidArgument"
            );
        }
    }
}

#[test]
fn without_a_kms_only_plain_and_customer_keys_are_to_be_had() {
    let s3 = bucket(DefaultAlgorithm::SseS3);
    let no_kms = |bucket| Surroundings {
        has_kms: false,
        ..around(bucket)
    };
    assert_eq!(told(Asked::default().resolve(no_kms(None))), "plain");
    assert_eq!(
        told(Asked::default().resolve(no_kms(Some(&s3)))),
        "NotImplemented"
    );
    assert_eq!(
        told(asked(Some("AES256"), None, None).resolve(no_kms(None))),
        "NotImplemented"
    );
    let own = Asked {
        customer: customer(&[1; 32]),
        ..Asked::default()
    };
    assert_eq!(told(own.resolve(no_kms(None))), "c");
}

#[test]
fn a_bucket_key_is_used_as_the_header_says_else_the_bucket() {
    for (header, setting, expected) in [
        (None, None, "kms - {}"),
        (Some(true), None, "kms - {} bucket-key"),
        (Some(false), Some(true), "kms - {}"),
        (None, Some(true), "kms - {} bucket-key"),
    ] {
        let bucket = BucketEncryption {
            bucket_key: setting,
            ..bucket(DefaultAlgorithm::SseKms { key: None })
        };
        let asked = Asked {
            bucket_key: header,
            ..asked(Some("aws:kms"), None, None)
        };
        assert_eq!(told(asked.resolve(around(Some(&bucket)))), expected);
    }
}

#[test]
fn customer_headers_are_checked_in_s3s_order() {
    let with = |change: fn(&mut CustomerHeaders)| {
        let mut headers = customer(&[1; 32]);
        change(&mut headers);
        Asked {
            customer: headers,
            ..Asked::default()
        }
    };
    type Change = fn(&mut CustomerHeaders);
    let table: [(Change, &str); 9] = [
        (|_| {}, ""),
        (|h| h.algorithm = None, "valid encryption algorithm"),
        (
            |h| h.algorithm = Some("AES192".into()),
            "valid encryption algorithm",
        ),
        (|h| h.key = None, "appropriate secret key"),
        (
            |h| h.key = Some(Zeroizing::new(String::new())),
            "appropriate secret key",
        ),
        (|h| h.key_md5 = None, "client calculated MD5"),
        (
            |h| h.key = Some(Zeroizing::new("AAAA".into())),
            "invalid for the specified algorithm",
        ),
        (
            |h| h.key = Some(Zeroizing::new("not base64".into())),
            "invalid for the specified algorithm",
        ),
        (
            |h| h.key_md5 = Some("AAAA".into()),
            "did not match the hash",
        ),
    ];
    for (change, expected) in table {
        match with(change).resolve(around(None)) {
            Ok(intent) => assert!(expected.is_empty() && matches!(intent, Intent::SseC(_))),
            Err(error) => {
                assert_eq!(error.code().as_str(), "InvalidArgument");
                let message = error.message().unwrap_or_default();
                assert!(
                    !expected.is_empty() && message.contains(expected),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn lesson_36_a_customer_key_excludes_every_other_method() {
    for (algorithm, key) in [
        (Some("AES256"), None),
        (Some("aws:kms"), None),
        (None, Some("k")),
    ] {
        let asked = Asked {
            customer: customer(&[1; 32]),
            ..asked(algorithm, key, None)
        };
        assert_eq!(told(asked.resolve(around(None))), "InvalidArgument");
    }
}

#[test]
fn a_customer_key_over_plain_http_is_refused_whatever_else_is_wrong() {
    let plain = Surroundings {
        security: ConnectionSecurity { tls: false },
        ..around(None)
    };
    let good = Asked {
        customer: customer(&[1; 32]),
        ..Asked::default()
    };
    assert_eq!(told(good.resolve(plain)), "InvalidRequest");
    let bad = Asked {
        customer: customer(&[1; 3]),
        ..asked(Some("AES256"), None, None)
    };
    assert_eq!(told(bad.resolve(plain)), "InvalidRequest");
}

#[test]
fn lesson_35_a_bucket_can_block_customer_keys() {
    let blocks = BucketEncryption {
        blocks_customer_keys: true,
        ..bucket(DefaultAlgorithm::SseS3)
    };
    let own = Asked {
        customer: customer(&[1; 32]),
        ..Asked::default()
    };
    assert_eq!(told(own.resolve(around(Some(&blocks)))), "AccessDenied");
    assert_eq!(told(Asked::default().resolve(around(Some(&blocks)))), "s3");
}
