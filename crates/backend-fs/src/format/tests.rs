use bytes::Bytes;
use proptest::prelude::*;
use strongroom_backend::object::{Checksum, ObjectHeaders, PartStat};

use super::field::UnixTime;
use super::record::{BucketFile, RecordFile};
use super::root::{Extent, Layout, LayoutPlace, Root, Summary};
use super::upload::{AttemptFile, UploadFile};
use super::*;
use crate::id::Id;

fn id(seed: u8) -> Id {
    Id(std::array::from_fn(|at| {
        seed.wrapping_add(u8::try_from(at).unwrap())
    }))
}

fn headers() -> ObjectHeaders {
    ObjectHeaders {
        content_type: Some("text/plain".to_owned()),
        tagging: Some(String::new()),
        user_metadata: [
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), String::new()),
        ]
        .into(),
        ..ObjectHeaders::default()
    }
}

fn checksum() -> Checksum {
    Checksum {
        algorithm: "SHA256".to_owned(),
        value: "abc=-2".to_owned(),
        composite: true,
    }
}

fn layout() -> Layout {
    Layout {
        extents: vec![
            Extent {
                data: id(40),
                bytes: 70_000,
            },
            Extent {
                data: id(80),
                bytes: 1,
            },
        ],
        parts: vec![
            PartStat {
                number: 1,
                stored_length: 70_000,
                checksum: Some(checksum()),
            },
            PartStat {
                number: 10_000,
                stored_length: 1,
                checksum: None,
            },
        ],
    }
}

fn root() -> Root {
    Root {
        summary: Summary {
            bucket: "photos".to_owned(),
            key: "a//é".to_owned(),
            generation: id(1),
            modified: UnixTime {
                seconds: 1_700_000_000,
                nanos: 5,
            },
            stored_length: 70_001 + 6,
            etag: "etag-2".to_owned(),
            envelope: Some(Bytes::from_static(b"envelope")),
            storage_class: None,
            checksum: Some(checksum()),
        },
        headers: headers(),
        upload_id: Some(id(9).to_string()),
        body: id(17),
        layout: LayoutPlace::Here(layout()),
        inline: Bytes::from_static(b"footer"),
    }
}

/// One file of every kind.
fn files() -> Vec<Vec<u8>> {
    let time = UnixTime {
        seconds: 1,
        nanos: 999_999_999,
    };
    vec![
        root().encode(),
        layout().encode_page("photos", "k"),
        UploadFile {
            id: id(3),
            bucket: "photos".to_owned(),
            key: "k".to_owned(),
            initiated: time,
            checksum: Some(("CRC32".to_owned(), "FULL_OBJECT".to_owned())),
            envelope: Some(Bytes::from_static(b"envelope")),
            headers: ObjectHeaders {
                storage_class: Some("GLACIER".to_owned()),
                ..headers()
            },
            record: Bytes::from_static(b"notes"),
        }
        .encode(),
        AttemptFile {
            upload: id(3),
            attempt: id(4),
            number: 7,
            finished: time,
            sequence: 12,
            stored_length: 10,
            data: Some(id(5)),
            etag: "e".to_owned(),
            checksum: None,
            record: Bytes::from_static(b"sealed"),
        }
        .encode(),
        BucketFile {
            name: "photos".to_owned(),
            created: time,
        }
        .encode(),
        RecordFile {
            name: "a/b".to_owned(),
            generation: id(6),
            bytes: Bytes::from_static(b"x"),
        }
        .encode(),
    ]
}

#[test]
fn every_kind_reads_back_as_it_was_written() {
    let written = root();
    assert_eq!(Root::decode(&written.encode()).unwrap(), written);
    let file = written.encode();
    let begin = Begin::read(Kind::Root, &file).unwrap();
    assert_eq!(
        Summary::decode(begin, &file[..begin.bytes_to_head_end()]).unwrap(),
        written.summary
    );
    for file in files() {
        verify(&file).unwrap();
    }
    let upload = UploadFile::decode(&files()[2]).unwrap();
    assert_eq!(upload.encode(), files()[2]);
    let attempt = AttemptFile::decode(&files()[3]).unwrap();
    assert_eq!(attempt.encode(), files()[3]);
    assert_eq!(
        RecordFile::decode(&files()[5]).unwrap().encode(),
        files()[5]
    );
}

#[test]
fn every_truncation_and_every_flipped_bit_is_an_error() {
    for file in files() {
        for end in 0..file.len() {
            assert!(verify(&file[..end]).is_err(), "cut to {end}");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(verify(&longer).is_err());
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                assert!(verify(&changed).is_err(), "byte {at} bit {bit}");
            }
        }
    }
}

/// The same with the checksums made right again: what the fields themselves refuse.
fn resealed(kind: Kind, file: &[u8], change: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Vec<u8> {
    let opened = open(kind, file).unwrap();
    let (mut head, mut tail) = (opened.head.to_vec(), opened.tail.to_vec());
    change(&mut head, &mut tail);
    seal(kind, &head, &tail)
}

#[test]
fn every_truncated_field_is_an_error_even_under_a_good_checksum() {
    let file = root().encode();
    let (head, tail) = {
        let opened = open(Kind::Root, &file).unwrap();
        (opened.head.len(), opened.tail.len())
    };
    for end in 0..head {
        assert!(Root::decode(&resealed(Kind::Root, &file, |head, _| head.truncate(end))).is_err());
    }
    for end in 0..tail {
        assert!(Root::decode(&resealed(Kind::Root, &file, |_, tail| tail.truncate(end))).is_err());
    }
    for extra in [0, 1] {
        let longer = resealed(Kind::Root, &file, |head, _| head.push(extra));
        assert!(Root::decode(&longer).is_err());
    }
}

#[test]
fn the_unknown_is_an_error_that_names_it() {
    let good = root().encode();
    let mut newer = good.clone();
    newer[8] = 2;
    assert_eq!(Root::decode(&newer), Err(FormatError::Newer { version: 2 }));
    let mut flagged = good.clone();
    flagged[10] = 4;
    assert_eq!(
        Root::decode(&flagged),
        Err(FormatError::Unknown {
            what: "flags field",
            value: 4
        })
    );
    let unknown_section = resealed(Kind::Root, &good, |_, tail| {
        tail.extend([9, 0, 1, 0, 0, 0, 0]);
    });
    assert_eq!(
        Root::decode(&unknown_section),
        Err(FormatError::Unknown {
            what: "section",
            value: 9
        })
    );
    // A delete marker, as a later version may write one: kind 2.
    let kind_at = 4 + "photos".len() + 4 + "a//é".len();
    let marker = resealed(Kind::Root, &good, |head, _| head[kind_at] = 2);
    assert_eq!(
        Root::decode(&marker),
        Err(FormatError::Unknown {
            what: "kind",
            value: 2
        })
    );
    assert!(matches!(
        Root::decode(&files()[4]),
        Err(FormatError::Magic { .. })
    ));
}

#[test]
fn lengths_that_contradict_each_other_are_an_error() {
    for change in [1_i64, -1] {
        let mut wrong = root();
        wrong.summary.stored_length = wrong.summary.stored_length.saturating_add_signed(change);
        assert_eq!(
            Root::decode(&wrong.encode()),
            Err(FormatError::Field {
                what: "sum of lengths"
            })
        );
    }
    let page = layout().encode_page("photos", "a//é");
    let mut paged = root();
    paged.layout = LayoutPlace::Page {
        data: id(77),
        bytes: field::length(page.len()),
        extents: 2,
        parts: 2,
        extent_bytes: 70_001,
    };
    let paged = Root::decode(&paged.encode()).unwrap();
    assert_eq!(paged.read_page(&page).unwrap(), layout());
    let mut fewer = layout();
    fewer.parts.pop();
    assert!(
        paged
            .read_page(&fewer.encode_page("photos", "a//é"))
            .is_err()
    );
    assert!(
        paged
            .read_page(&layout().encode_page("photos", "other"))
            .is_err()
    );
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..6_usize) {
        let kind = Kind::ALL[kind];
        let _ = verify(&bytes);
        // Under a good frame the fields meet every kind of nonsense.
        let cut = bytes.len() / 2;
        let _ = verify(&seal(kind, &bytes[..cut], &bytes[cut..]));
    }

    #[test]
    fn nonsense_inside_real_files_is_refused_or_read_as_written(
        which in 0..6_usize, at in any::<prop::sample::Index>(), value in any::<u8>(), in_head in any::<bool>(),
    ) {
        let file = &files()[which];
        let kind = Kind::ALL.into_iter().find(|kind| open(*kind, file).is_ok()).unwrap();
        let changed = resealed(kind, file, |head, tail| {
            let part = if in_head && !head.is_empty() { head } else { tail };
            if !part.is_empty() {
                let at = at.index(part.len());
                part[at] = value;
            }
        });
        if let (Kind::Root, Ok(root)) = (kind, Root::decode(&changed)) {
            prop_assert_eq!(root.encode(), changed);
        } else {
            let _ = verify(&changed);
        }
    }
}
