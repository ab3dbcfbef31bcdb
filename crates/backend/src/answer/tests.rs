use s3s::dto::Range as Told;

use super::*;
use crate::object::{Generation, ObjectHeaders};

fn stat(size: u64) -> Stat {
    Stat {
        generation: Generation("g".into()),
        version_id: None,
        stored_length: size,
        etag: "e".into(),
        last_modified: Timestamp::default(),
        envelope: None,
        headers: ObjectHeaders::default(),
        checksum: None,
        parts: vec![],
        upload_id: None,
    }
}

fn find(
    size: u64,
    parts: &[(u32, u64)],
    range: Option<Told>,
    part: Option<i32>,
) -> Result<Selection, String> {
    let stat = stat(size);
    let parts: Vec<_> = parts
        .iter()
        .map(|&(number, size)| VisiblePart {
            number,
            size,
            checksum: None,
        })
        .collect();
    Selection::find(&Visible::plain(&stat, &parts), range.as_ref(), part)
        .map_err(|error| error.code().as_str().to_owned())
}

#[test]
fn ranges_are_cut_to_the_size() {
    let int = |first, last| Some(Told::Int { first, last });
    let bytes = |range| find(10, &[], range, None).map(|s| (s.bytes, s.partial));
    assert_eq!(bytes(None), Ok((0..10, false)));
    assert_eq!(bytes(int(0, None)), Ok((0..10, true)));
    assert_eq!(bytes(int(3, Some(3))), Ok((3..4, true)));
    assert_eq!(bytes(int(3, Some(99))), Ok((3..10, true)));
    assert_eq!(bytes(Some(Told::Suffix { length: 99 })), Ok((0..10, true)));
    assert_eq!(bytes(int(10, None)), Err("InvalidRange".into()));
    assert_eq!(
        bytes(Some(Told::Suffix { length: 0 })),
        Err("InvalidRange".into())
    );
    for range in [int(0, None), Some(Told::Suffix { length: 1 })] {
        assert_eq!(find(0, &[], range, None), Err("InvalidRange".into()));
    }
}

#[test]
fn parts_are_found_by_their_own_numbers() {
    let parts = [(2, 6), (5, 0), (9, 4)];
    let bytes = |n| find(10, &parts, None, Some(n)).map(|s| (s.bytes, s.partial, s.part));
    assert_eq!(bytes(2), Ok((0..6, true, Some(0))));
    assert_eq!(bytes(5), Ok((6..6, false, Some(1))));
    assert_eq!(bytes(9), Ok((6..10, true, Some(2))));
    assert_eq!(bytes(1), Err("InvalidPartNumber".into()));
    assert_eq!(bytes(10_001), Err("InvalidArgument".into()));
    assert_eq!(find(0, &[], None, Some(1)).map(|s| s.partial), Ok(false));
}

#[test]
fn a_range_that_cannot_be_tells_the_size() {
    let error = satisfy(
        &Told::Int {
            first: 5,
            last: None,
        },
        5,
    )
    .unwrap_err();
    assert_eq!(error.headers().unwrap()["content-range"], "bytes */5");
}

#[test]
fn a_copied_range_lies_within_its_source() {
    let code = |text| copy_source_range(text, 10).map_err(|e| e.code().as_str().to_owned());
    assert_eq!(code("bytes=0-9"), Ok(0..10));
    assert_eq!(code("bytes=0-10"), Err("InvalidRange".into()));
    for malformed in ["bytes=5-", "bytes=-5", "0-5", "bytes=5-4", "bytes=a-b", ""] {
        assert_eq!(
            code(malformed),
            Err("InvalidArgument".into()),
            "{malformed}"
        );
    }
}

#[test]
fn a_checksum_is_shown_only_for_the_bytes_that_it_is_of() {
    let mut stat = stat(10);
    stat.checksum = Some(Checksum::full(
        crate::checksum::Algorithm::Crc32,
        &[1, 2, 3, 4],
    ));
    let visible = Visible::plain(&stat, &[]);
    let shown = |range: Option<Told>, mode: Option<&'static str>| {
        let input = GetObjectInput {
            checksum_mode: mode.map(ChecksumMode::from_static),
            range,
            ..Default::default()
        };
        let selection = Selection::find(&visible, range.as_ref(), None).unwrap();
        get(&visible, &selection, &input, crate::body::empty()).checksum_crc32
    };
    assert_eq!(shown(None, Some("ENABLED")).as_deref(), Some("AQIDBA=="));
    assert_eq!(shown(None, None), None);
    assert_eq!(
        shown(
            Some(Told::Int {
                first: 1,
                last: None
            }),
            Some("ENABLED")
        ),
        None
    );
}
