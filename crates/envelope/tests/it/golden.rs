//! Golden files: what version 1 wrote, every later version writes again and reads.

use serde::{Deserialize, Serialize};
use strongroom_envelope::ObjectPath;

use crate::case::{Case, ChecksumInput, DataKeyInput, Inputs, OwnedKey, PartInput, plaintext};
use crate::files;
use crate::reader::{Refused, read};

const GOOD: &str = "sealed-object/good";
const BAD: &str = "sealed-object/bad";
const PART: u64 = 5 << 20;

/// A file that must not open: named for its one defect.
#[derive(Debug, Serialize, Deserialize)]
struct BadCase {
    about: String,
    bucket: String,
    key: String,
    scheme: String,
    external_key: String,
    envelope: String,
    /// Hex.
    stored: String,
    /// Stage and kind of the error.
    refused: String,
}

fn cases() -> Vec<(String, Case)> {
    let load = |name: String| {
        let case = serde_json::from_str(&files::text(&format!("{GOOD}/{name}"))).unwrap();
        (name, case)
    };
    files::names(GOOD).into_iter().map(load).collect()
}

#[test]
fn golden_objects_are_made_again_byte_for_byte_and_read() {
    let cases = cases();
    assert_eq!(cases.len(), designs().len());
    for (name, case) in cases {
        let (outputs, stored) = case.inputs.make();
        assert_eq!(outputs, case.outputs, "{name}");
        let key = OwnedKey::new(&case.inputs.scheme, &case.inputs.external_key);
        let plain = read(
            &case.inputs.path(),
            key.borrow(),
            &case.outputs.envelope,
            &stored,
        );
        assert!(plain == Ok(plaintext(case.inputs.plain_length())), "{name}");
    }
}

#[test]
fn golden_short_bodies_are_read_from_the_file_alone() {
    let mut read_from_file = 0;
    for (name, case) in cases() {
        let Some(stored) = &case.outputs.stored else {
            continue;
        };
        let stored = hex::decode(stored).unwrap();
        assert_eq!(stored.len() as u64, case.outputs.stored_bytes);
        let key = OwnedKey::new(&case.inputs.scheme, &case.inputs.external_key);
        let plain = read(
            &case.inputs.path(),
            key.borrow(),
            &case.outputs.envelope,
            &stored,
        );
        assert!(plain == Ok(plaintext(case.inputs.plain_length())), "{name}");
        read_from_file += 1;
    }
    assert!(read_from_file >= 9, "{read_from_file}");
}

#[test]
fn golden_defects_are_refused_for_their_reason() {
    let names = files::names(BAD);
    assert_eq!(names.len(), defects().len());
    for name in names {
        let bad: BadCase = serde_json::from_str(&files::text(&format!("{BAD}/{name}"))).unwrap();
        let key = OwnedKey::new(&bad.scheme, &bad.external_key);
        let path = ObjectPath::new(&bad.bucket, &bad.key);
        let stored = hex::decode(&bad.stored).unwrap();
        let outcome = read(&path, key.borrow(), &bad.envelope, &stored);
        assert_eq!(outcome, Err(Refused(bad.refused)), "{name}");
    }
}

/// Adds the files of new designs. It never changes one that is there.
#[test]
#[ignore = "writes golden files; run by hand when a design was added"]
fn write_missing_golden_files() {
    for (name, about, inputs) in designs() {
        let (outputs, _) = inputs.make();
        let case = Case {
            about: about.to_owned(),
            inputs,
            outputs,
        };
        let text = serde_json::to_string_pretty(&case).unwrap() + "\n";
        files::write_new(&format!("{GOOD}/{name}.json"), &text);
    }
    for (name, bad) in defects() {
        let text = serde_json::to_string_pretty(&bad).unwrap() + "\n";
        files::write_new(&format!("{BAD}/{name}.json"), &text);
    }
}

fn sequence(from: u8, count: u8) -> String {
    hex::encode(
        (0..count)
            .map(|i| from.wrapping_add(i))
            .collect::<Vec<u8>>(),
    )
}

fn data_key() -> DataKeyInput {
    DataKeyInput {
        key_name: "my-minio-key".to_owned(),
        key_version: None,
        fingerprint: Some(("key-hmac".to_owned(), sequence(0xf0, 16))),
        sealed: sequence(0x80, 76),
        bucket_key: false,
    }
}

fn part(number: u32, plain_length: u64) -> PartInput {
    let nonce = sequence(0x10 + u8::try_from(number % 64).unwrap(), 12);
    PartInput {
        number,
        plain_length,
        nonce,
        checksum: None,
    }
}

fn checksum(algorithm: &str, kind: &str, bytes: u8) -> ChecksumInput {
    let (algorithm, kind) = (algorithm.to_owned(), kind.to_owned());
    ChecksumInput {
        algorithm,
        kind,
        value: sequence(0xc0, bytes),
    }
}

/// A plain PUT of `plain_length` bytes.
fn single(scheme: &str, plain_length: u64) -> Inputs {
    Inputs {
        bucket: "bucket".to_owned(),
        key: "dir/object".to_owned(),
        scheme: scheme.to_owned(),
        external_key: sequence(0, 32),
        data_key: (scheme != "SSE-C").then(data_key),
        client_context: [].into(),
        kind: "single".to_owned(),
        etag_key_id: if scheme == "SSE-S3" { 1 } else { 0 },
        object_random: sequence(0x20, 84),
        cipher: "AES-256-GCM".to_owned(),
        parts: if plain_length == 0 {
            vec![]
        } else {
            vec![part(1, plain_length)]
        },
        checksum: None,
        footer_nonce: sequence(0xa0, 12),
    }
}

fn multipart(scheme: &str, parts: Vec<PartInput>) -> Inputs {
    Inputs {
        kind: "multipart".to_owned(),
        parts,
        ..single(scheme, 0)
    }
}

fn context(members: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    members
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn designs() -> Vec<(&'static str, &'static str, Inputs)> {
    let fingerprint = |kind: &str, value: String| DataKeyInput {
        fingerprint: Some((kind.to_owned(), value)),
        ..data_key()
    };
    let unaligned = || {
        let mut parts = vec![part(1, PART + 1), part(3, PART + 70_000), part(10_000, 3)];
        for part in &mut parts {
            part.checksum = Some(checksum("SHA512", "", 64));
        }
        parts
    };
    vec![
        ("sse_s3_single", "plain PUT, SSE-S3", single("SSE-S3", 5)),
        (
            "sse_s3_bucket_key",
            "data key of the whole bucket; fingerprint by a KES server's HMAC",
            Inputs {
                data_key: Some(DataKeyInput {
                    bucket_key: true,
                    ..fingerprint("kes-hmac", sequence(0xe0, 16))
                }),
                checksum: Some(checksum("CRC64NVME", "FULL_OBJECT", 8)),
                ..single("SSE-S3", 5)
            },
        ),
        (
            "sse_s3_empty",
            "plain PUT of nothing: an empty body",
            single("SSE-S3", 0),
        ),
        (
            "sse_s3_empty_checksum",
            "plain PUT of nothing whose checksum lies in the envelope; no fingerprint",
            Inputs {
                data_key: Some(DataKeyInput {
                    fingerprint: None,
                    ..data_key()
                }),
                checksum: Some(checksum("SHA256", "FULL_OBJECT", 32)),
                ..single("SSE-S3", 0)
            },
        ),
        (
            "sse_kms_context",
            "client's context with characters that are escaped; key version and fingerprint of Vault",
            Inputs {
                data_key: Some(DataKeyInput {
                    key_version: Some("7".to_owned()),
                    ..fingerprint("vault-version", "7".to_owned())
                }),
                client_context: context(&[("project", "a&b<c>"), ("z", "\u{fc} \"q\" \\ \n")]),
                ..single("SSE-KMS", 12)
            },
        ),
        (
            "sse_kms_context_names_the_bucket",
            "a client's member named like the bucket is kept; fingerprint by creation time",
            Inputs {
                data_key: Some(fingerprint(
                    "kes-created-at",
                    "2024-06-01T12:00:00.5Z".to_owned(),
                )),
                client_context: context(&[("bucket", "mine")]),
                ..single("SSE-KMS", 1)
            },
        ),
        ("sse_c_single", "plain PUT, SSE-C", single("SSE-C", 5)),
        (
            "sse_c_chacha20",
            "body by ChaCha20-Poly1305",
            Inputs {
                cipher: "ChaCha20-Poly1305".to_owned(),
                ..single("SSE-C", 5)
            },
        ),
        (
            "sse_c_empty",
            "plain PUT of nothing, SSE-C",
            single("SSE-C", 0),
        ),
        (
            "sse_c_odd_key",
            "a key whose cleaned path is another",
            Inputs {
                key: "a//./b/ \u{fc}&<\"/".to_owned(),
                ..single("SSE-C", 5)
            },
        ),
        (
            "sse_c_package",
            "exactly one package",
            single("SSE-C", 65_536),
        ),
        (
            "sse_c_package_and_a_byte",
            "two packages",
            single("SSE-C", 65_537),
        ),
        (
            "sse_c_five_mebibytes",
            "plain PUT whose footer is padded for a second part",
            single("SSE-C", PART),
        ),
        (
            "multipart_empty",
            "one part of no bytes: a body that is a footer alone",
            multipart("SSE-S3", vec![part(1, 0)]),
        ),
        (
            "multipart_part_three",
            "one part, number 3",
            multipart("SSE-C", vec![part(3, 16)]),
        ),
        (
            "multipart_unaligned",
            "parts 1, 3 and 10000 that end off package boundaries, composite SHA-512",
            Inputs {
                checksum: Some(checksum("SHA512", "COMPOSITE", 64)),
                ..multipart("SSE-KMS", unaligned())
            },
        ),
        (
            "multipart_aligned_last_empty",
            "aligned parts, the last one empty",
            multipart("SSE-S3", vec![part(1, PART), part(2, PART), part(3, 0)]),
        ),
    ]
}

/// A good object, small enough for a file, that each defect starts from.
struct Object {
    inputs: Inputs,
    envelope: Vec<u8>,
    stored: Vec<u8>,
}

fn object(inputs: Inputs) -> Object {
    use base64::Engine as _;
    let (outputs, stored) = inputs.make();
    let envelope = base64::engine::general_purpose::STANDARD
        .decode(outputs.envelope)
        .unwrap();
    Object {
        inputs,
        envelope,
        stored,
    }
}

fn defect(
    name: &'static str,
    about: &str,
    refused: &str,
    mut object: Object,
    edit: impl FnOnce(&mut Object),
) -> (&'static str, BadCase) {
    use base64::Engine as _;
    edit(&mut object);
    let Object {
        inputs,
        envelope,
        stored,
    } = object;
    let bad = BadCase {
        about: about.to_owned(),
        bucket: inputs.bucket,
        key: inputs.key,
        scheme: inputs.scheme,
        external_key: inputs.external_key,
        envelope: base64::engine::general_purpose::STANDARD.encode(envelope),
        stored: hex::encode(stored),
        refused: refused.to_owned(),
    };
    (name, bad)
}

fn defects() -> Vec<(&'static str, BadCase)> {
    [envelope_field_defects(), envelope_edits(), body_defects()]
        .into_iter()
        .flatten()
        .collect()
}

fn s3() -> Object {
    object(single("SSE-S3", 5))
}

fn ssec() -> Object {
    object(single("SSE-C", 5))
}

/// Envelopes that do not decode.
fn envelope_field_defects() -> Vec<(&'static str, BadCase)> {
    let kms = || {
        let client_context = context(&[("a", "1"), ("b", "2")]);
        object(Inputs {
            client_context,
            ..single("SSE-KMS", 5)
        })
    };
    // Of an SSE-KMS envelope: the context is the last field before the commitment: count 2, then
    // 01 00 'a' 01 00 '1' 01 00 'b' 01 00 '2'.
    let context_at = |object: &Object| object.envelope.len() - 32 - 12;
    let truncated = "decode: Truncated";
    let unknown = "decode: UnknownValue";
    let invalid = "decode: Invalid";
    vec![
        defect("envelope_empty", "no bytes", truncated, s3(), |o| {
            o.envelope.clear()
        }),
        defect(
            "envelope_truncated",
            "the last byte is missing",
            truncated,
            s3(),
            |o| {
                o.envelope.pop();
            },
        ),
        defect(
            "envelope_trailing_byte",
            "a byte too many",
            "decode: Trailing",
            s3(),
            |o| {
                o.envelope.push(0);
            },
        ),
        defect(
            "envelope_version_2",
            "version",
            "decode: UnknownVersion",
            s3(),
            |o| {
                o.envelope[0] = 2;
            },
        ),
        defect("envelope_unknown_scheme", "scheme 4", unknown, s3(), |o| {
            o.envelope[1] = 4
        }),
        defect("envelope_unknown_kind", "kind 3", unknown, s3(), |o| {
            o.envelope[2] = 3
        }),
        defect("envelope_unknown_flag", "flag 2", unknown, s3(), |o| {
            o.envelope[3] = 2
        }),
        defect(
            "envelope_bucket_key_of_ssec",
            "bucket key without KMS",
            unknown,
            ssec(),
            |o| {
                o.envelope[3] = 1;
            },
        ),
        defect(
            "envelope_multipart_with_length",
            "a length beside multipart",
            invalid,
            s3(),
            |o| {
                o.envelope[2] = 2;
            },
        ),
        defect(
            "envelope_unknown_checksum",
            "checksum algorithm 99",
            unknown,
            s3(),
            |o| {
                o.envelope[120] = 99;
            },
        ),
        defect(
            "envelope_misplaced_checksum",
            "checksum beside a body",
            invalid,
            s3(),
            |o| {
                o.envelope.splice(120..121, [1, 0, 0, 0, 0]);
            },
        ),
        defect(
            "envelope_empty_key_name",
            "no key name",
            invalid,
            s3(),
            |o| {
                o.envelope.splice(121..134, [0]);
            },
        ),
        defect(
            "envelope_key_name_not_utf8",
            "key name",
            invalid,
            s3(),
            |o| {
                o.envelope[122] = 0xff;
            },
        ),
        defect(
            "envelope_unknown_fingerprint",
            "fingerprint kind 9",
            unknown,
            s3(),
            |o| {
                o.envelope[135] = 9;
            },
        ),
        defect(
            "envelope_context_unsorted",
            "members in the wrong order",
            invalid,
            kms(),
            |o| {
                let at = context_at(o);
                o.envelope.swap(at + 2, at + 8);
            },
        ),
        defect(
            "envelope_context_repeated",
            "a member twice",
            invalid,
            kms(),
            |o| {
                let at = context_at(o);
                o.envelope[at + 8] = b'a';
            },
        ),
        defect(
            "envelope_context_reserved",
            "a member of ours",
            invalid,
            kms(),
            |o| {
                let at = context_at(o);
                o.envelope.splice(at..at + 3, *b"\x0c\0strongroom:x");
                // The other member sorts before it, so it goes.
                let end = o.envelope.len() - 32;
                o.envelope.drain(end - 6..end);
                o.envelope[at - 2] = 1;
            },
        ),
    ]
}

/// Envelopes that decode and do not open.
fn envelope_edits() -> Vec<(&'static str, BadCase)> {
    let tampered = "open: Tampered";
    let wrong = "open: WrongClientKey";
    let flip = |at: usize| move |o: &mut Object| o.envelope[at] ^= 1;
    vec![
        defect(
            "edited_generation",
            "generation id",
            tampered,
            s3(),
            flip(4),
        ),
        defect(
            "edited_plain_length",
            "plaintext length",
            tampered,
            s3(),
            flip(12),
        ),
        defect("edited_etag_key", "ETag key's id", tampered, s3(), flip(23)),
        defect("edited_iv", "IV", tampered, s3(), flip(24)),
        defect(
            "edited_iv_ssec",
            "IV; looks like another client's key",
            wrong,
            ssec(),
            flip(24),
        ),
        defect(
            "edited_sealed_key",
            "sealed object key",
            tampered,
            s3(),
            flip(119),
        ),
        defect("edited_key_name", "key name", tampered, s3(), flip(122)),
        defect(
            "edited_fingerprint",
            "fingerprint",
            tampered,
            s3(),
            flip(136),
        ),
        defect(
            "edited_sealed_data_key",
            "sealed data key",
            tampered,
            s3(),
            flip(154),
        ),
        defect(
            "edited_bucket_key_flag",
            "bucket-key flag",
            tampered,
            s3(),
            flip(3),
        ),
        defect(
            "edited_commitment",
            "last bit of the commitment",
            tampered,
            s3(),
            |o| {
                *o.envelope.last_mut().unwrap() ^= 1;
            },
        ),
        defect(
            "other_client_key",
            "the client sends another key",
            wrong,
            ssec(),
            |o| {
                o.inputs.external_key = sequence(1, 32);
            },
        ),
        defect(
            "other_data_key",
            "the KMS gives another data key",
            tampered,
            s3(),
            |o| {
                o.inputs.external_key = sequence(1, 32);
            },
        ),
        defect(
            "scheme_changed",
            "SSE-S3 passed off as SSE-KMS",
            tampered,
            s3(),
            |o| {
                o.envelope[1] = 2;
                let end = o.envelope.len() - 32;
                o.envelope.splice(end..end, [0, 0]);
            },
        ),
        defect("moved_to_another_key", "key", tampered, s3(), |o| {
            o.inputs.key.push('2')
        }),
        defect("moved_to_another_bucket", "bucket", tampered, s3(), |o| {
            o.inputs.bucket.push('2')
        }),
        defect(
            "moved_to_an_alias",
            "a key with the same cleaned path",
            tampered,
            s3(),
            |o| {
                o.inputs.key = "dir//object".to_owned();
            },
        ),
    ]
}

/// Bodies that do not fit their envelope.
fn body_defects() -> Vec<(&'static str, BadCase)> {
    let part = || object(multipart("SSE-S3", vec![part(1, 5)]));
    let length = "length: not that of the envelope";
    let impossible = "length: Length";
    let forged = "footer: NotAuthentic";
    // 37 bytes of body, then the manifest: nonce 12, ciphertext 292, tag 16, trailer 32.
    let flip = |at: usize| move |o: &mut Object| o.stored[at] ^= 1;
    let other = |o: &mut Object| {
        let random = sequence(0x21, 84);
        let donor = object(Inputs {
            object_random: random,
            ..multipart("SSE-S3", vec![self::part(1, 5)])
        });
        o.stored.splice(37.., donor.stored[37..].iter().copied());
    };
    vec![
        defect(
            "body_empty",
            "nothing stored of a multipart object",
            "length: EmptyBody",
            part(),
            |o| {
                o.stored.clear();
            },
        ),
        defect(
            "body_empty_single",
            "nothing stored of a plain PUT",
            length,
            s3(),
            |o| {
                o.stored.clear();
            },
        ),
        defect("body_longer_single", "a byte more", length, s3(), |o| {
            o.stored.push(0)
        }),
        defect("body_shorter_single", "a byte less", length, s3(), |o| {
            o.stored.pop();
        }),
        defect(
            "body_of_a_sealed_nothing",
            "32 bytes more than an empty object's",
            impossible,
            part(),
            |o| {
                o.stored.drain(..5);
            },
        ),
        defect(
            "body_shorter",
            "the last byte is missing",
            "footer: NoFooter",
            part(),
            |o| {
                o.stored.pop();
            },
        ),
        defect(
            "body_byte_lost_in_front",
            "the first byte is missing",
            "footer: Inconsistent",
            part(),
            |o| {
                o.stored.remove(0);
            },
        ),
        defect(
            "body_bit_flipped",
            "ciphertext of the body",
            "body",
            part(),
            flip(16),
        ),
        defect(
            "body_final_flag_cleared",
            "final flag of the body",
            "body",
            part(),
            |o| {
                o.stored[4] &= 0x7f;
            },
        ),
        defect(
            "body_of_another_attempt",
            "the part sealed again with another nonce",
            "body",
            part(),
            |o| {
                let again = PartInput {
                    nonce: sequence(0x40, 12),
                    ..self::part(1, 5)
                };
                let donor = object(multipart("SSE-S3", vec![again]));
                o.stored.splice(..37, donor.stored[..37].iter().copied());
            },
        ),
        defect(
            "footer_nonce_flipped",
            "nonce of the footer",
            forged,
            part(),
            flip(37),
        ),
        defect(
            "footer_bit_flipped",
            "ciphertext of the footer",
            forged,
            part(),
            flip(49),
        ),
        defect(
            "footer_tag_flipped",
            "tag of the footer",
            forged,
            part(),
            flip(341),
        ),
        defect(
            "footer_magic_flipped",
            "magic of the trailer",
            "footer: NoFooter",
            part(),
            flip(357),
        ),
        defect(
            "footer_version_2",
            "version of the trailer",
            "footer: Newer",
            part(),
            |o| o.stored[365] = 2,
        ),
        defect(
            "footer_unknown_kind",
            "kind of the trailer",
            "footer: Newer",
            part(),
            |o| o.stored[366] = 9,
        ),
        defect(
            "footer_kind_changed",
            "kind of the trailer",
            forged,
            part(),
            |o| o.stored[366] = 1,
        ),
        defect(
            "footer_count_changed",
            "number of parts in the trailer",
            forged,
            part(),
            flip(369),
        ),
        defect(
            "footer_reserved_not_zero",
            "reserved bytes of the trailer",
            forged,
            part(),
            flip(388),
        ),
        defect(
            "footer_of_another_object",
            "footer of another object of the same shape",
            forged,
            part(),
            other,
        ),
    ]
}
