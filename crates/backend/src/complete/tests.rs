use s3s::dto::{CompletedMultipartUpload, CompletedPart};

use super::*;
use crate::condition::strong;
use crate::put::Finish;

fn attempt(name: &str, number: u32, size: u64, etag: &str) -> PartAttempt {
    PartAttempt {
        attempt: name.into(),
        number,
        stored_length: size,
        finish: Finish {
            etag: etag.into(),
            ..Default::default()
        },
        last_modified: Default::default(),
    }
}

fn request(parts: &[(i32, &str)]) -> CompleteMultipartUploadInput {
    let parts = parts
        .iter()
        .map(|&(number, etag)| CompletedPart {
            part_number: Some(number),
            e_tag: Some(strong(etag)),
            ..Default::default()
        })
        .collect();
    CompleteMultipartUploadInput {
        multipart_upload: Some(CompletedMultipartUpload { parts: Some(parts) }),
        ..Default::default()
    }
}

fn pick(parts: &[(i32, &str)], attempts: &[PartAttempt]) -> Result<Vec<String>, String> {
    listed(&request(parts))
        .and_then(|listed| choose(&listed, attempts, |a| Ok(VisibleAttempt::plain(a))))
        .map(|chosen| {
            chosen
                .into_iter()
                .map(|c| c.attempt.attempt.clone())
                .collect()
        })
        .map_err(|error| error.code().as_str().to_owned())
}

#[test]
fn lesson_49_each_listed_part_is_one_well_defined_attempt() {
    const BIG: u64 = PART_BYTES_MIN;
    let attempts = [
        attempt("1a", 1, BIG, "x"),
        attempt("1b", 1, BIG, "y"),
        attempt("1c", 1, BIG, "x"),
        attempt("3a", 3, 1, "z"),
    ];
    assert_eq!(
        pick(&[(1, "y"), (3, "z")], &attempts),
        Ok(vec!["1b".into(), "3a".into()])
    );
    // Two attempts that look alike: the one finished last.
    assert_eq!(pick(&[(1, "x")], &attempts), Ok(vec!["1c".into()]));
    assert_eq!(pick(&[(1, "z")], &attempts), Err("InvalidPart".into()));
    assert_eq!(pick(&[(2, "x")], &attempts), Err("InvalidPart".into()));
    assert_eq!(
        pick(&[(3, "z"), (1, "x")], &attempts),
        Err("InvalidPartOrder".into())
    );
    assert_eq!(
        pick(&[(1, "x"), (1, "y")], &attempts),
        Err("InvalidPartOrder".into())
    );
    assert_eq!(pick(&[], &attempts), Err("MalformedXML".into()));
    let small = [attempt("1", 1, BIG - 1, "x"), attempt("2", 2, 0, "y")];
    assert_eq!(
        pick(&[(1, "x"), (2, "y")], &small),
        Err("EntityTooSmall".into())
    );
    assert_eq!(pick(&[(1, "x")], &small), Ok(vec!["1".into()]));
}

#[test]
fn the_etag_is_the_md5_of_md5s() {
    // MD5(MD5("") ‖ MD5("")), computed with Python's hashlib.
    let empty = "d41d8cd98f00b204e9800998ecf8427e";
    let told = listed(&request(&[(1, empty), (2, empty)])).unwrap();
    let attempts = [
        attempt("1", 1, PART_BYTES_MIN, empty),
        attempt("2", 2, 0, empty),
    ];
    let chosen = choose(&told, &attempts, |a| Ok(VisibleAttempt::plain(a))).unwrap();
    let expected = "5873dd45edd01f09c1ef2e7819369e8e-2";
    assert_eq!(multipart_etag(&chosen).as_deref(), Some(expected));
    assert_eq!(etag_of_list(&told).as_deref(), Some(expected));
    let opaque = listed(&request(&[(1, "d41d8cd98f00b204e9800998ecf8427e-1")])).unwrap();
    assert_eq!(etag_of_list(&opaque), None);
}

#[test]
fn checksum_types_are_those_that_s3_has() {
    let declared = |algorithm, kind| {
        Declared::new(algorithm, kind)
            .map(|d| d.map(Declared::to_stored).map(|(_, kind)| kind))
            .map_err(|error| error.code().as_str().to_owned())
    };
    let composite = Ok(Some("COMPOSITE".to_owned()));
    let full = Ok(Some("FULL_OBJECT".to_owned()));
    assert_eq!(declared(None, None), Ok(None));
    assert_eq!(declared(Some("CRC64NVME"), None), full);
    assert_eq!(declared(Some("CRC32"), None), composite);
    assert_eq!(declared(Some("CRC32C"), Some("FULL_OBJECT")), full);
    assert_eq!(declared(Some("SHA256"), None), composite);
    for (algorithm, kind) in [
        (Some("CRC64NVME"), "COMPOSITE"),
        (Some("SHA1"), "FULL_OBJECT"),
        (Some("CRC32"), "HALF"),
        (None, "COMPOSITE"),
    ] {
        assert_eq!(
            declared(algorithm, Some(kind)),
            Err("InvalidRequest".into())
        );
    }
    assert_eq!(
        declared(Some("XXHASH3"), None),
        Err("NotImplemented".into())
    );
}

#[test]
fn what_a_complete_tells_of_the_whole_is_verified() {
    let crc = |bytes: &[u8]| {
        let mut hasher = crate::checksum::Hasher::new(Algorithm::Crc32);
        hasher.update(bytes);
        Checksum::full(Algorithm::Crc32, &hasher.finish())
    };
    let with = |name: &str, number, bytes: &[u8]| {
        let mut attempt = attempt(name, number, bytes.len() as u64, name);
        attempt.finish.checksum = Some(crc(bytes));
        attempt
    };
    let big = vec![1_u8; usize::try_from(PART_BYTES_MIN).unwrap()];
    let attempts = [with("a", 1, &big), with("b", 2, b"end")];
    let told = listed(&request(&[(1, "a"), (2, "b")])).unwrap();
    let chosen = choose(&told, &attempts, |a| Ok(VisibleAttempt::plain(a))).unwrap();
    let whole = crc(&[&big[..], b"end"].concat());
    let full = Declared::new(Some("CRC32"), Some("FULL_OBJECT")).unwrap();
    let of = |change: &dyn Fn(&mut CompleteMultipartUploadInput)| {
        let mut input = request(&[(1, "a"), (2, "b")]);
        change(&mut input);
        checksum(&input, full, &chosen).map_err(|error| error.code().as_str().to_owned())
    };
    assert_eq!(of(&|_| ()), Ok(Some(whole.clone())));
    assert_eq!(
        of(&|i| i.checksum_crc32 = Some(whole.value.clone())),
        Ok(Some(whole.clone()))
    );
    assert_eq!(
        of(&|i| i.checksum_crc32 = Some("AAAAAA==".into())),
        Err("BadDigest".into())
    );
    assert_eq!(
        of(&|i| i.checksum_crc32c = Some("AAAAAA==".into())),
        Err("InvalidRequest".into())
    );
    assert_eq!(
        of(&|i| i.mpu_object_size = Some(3)),
        Err("InvalidRequest".into())
    );
    let composite = || Some(ChecksumType::from_static(ChecksumType::COMPOSITE));
    assert_eq!(
        of(&|i| i.checksum_type = composite()),
        Err("InvalidRequest".into())
    );

    let input = request(&[(1, "a"), (2, "b")]);
    assert_eq!(checksum(&input, None, &chosen).unwrap(), None);
    let composite = Declared::new(Some("CRC32"), None).unwrap();
    let value = checksum(&input, composite, &chosen).unwrap().unwrap().value;
    assert!(value.ends_with("-2"), "{value}");
}
