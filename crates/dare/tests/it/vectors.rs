//! Every case in `fixtures/dare`, one file each.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use strongroom_dare::{Accept, Cipher, Opener, StreamNonce, open_to_vec, seal_to_vec};

use crate::{read_stream, read_stream_in_place};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    about: String,
    key: String,
    accept: String,
    start: u64,
    expect_nonce: Option<String>,
    streams: Vec<Recipe>,
    pieces: Vec<Piece>,
    sealed_bytes: usize,
    sealed_sha256: String,
    outcome: Outcome,
}

/// A whole stream of zero bytes, for cases too long to be written out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    zeros: usize,
    cipher: u8,
    nonce: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Hex {
        hex: String,
    },
    Slice {
        stream: usize,
        start: usize,
        end: usize,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Opens {
        plain_bytes: usize,
        plain_sha256: String,
    },
    Fails {
        error: String,
        index: u64,
    },
}

impl Case {
    fn key(&self) -> [u8; 32] {
        bytes(&self.key)
    }

    fn accept(&self) -> Accept {
        match self.accept.as_str() {
            "both" => Accept::Both,
            "v1" => Accept::V1Only,
            "v2" => Accept::V2Only,
            other => panic!("accept: {other}"),
        }
    }

    fn opener(&self) -> Opener {
        let opener = Opener::new(&self.key(), self.accept()).starting_at(self.start);
        match &self.expect_nonce {
            Some(nonce) => opener.expecting_nonce(StreamNonce::from_bytes(bytes(nonce))),
            None => opener,
        }
    }

    fn sealed(&self) -> Vec<u8> {
        // The recipes' key is that of the published rows, also where the reader is given another.
        let streams: Vec<_> = self
            .streams
            .iter()
            .map(|recipe| {
                let cipher = [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305][recipe.cipher as usize];
                let nonce = StreamNonce::from_bytes(bytes(&recipe.nonce));
                seal_to_vec(&crate::KEY, cipher, nonce, &vec![0; recipe.zeros])
            })
            .collect();
        let mut sealed = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Hex { hex } => sealed.extend(hex::decode(hex).unwrap()),
                Piece::Slice { stream, start, end } => {
                    sealed.extend_from_slice(&streams[*stream][*start..*end]);
                }
            }
        }
        sealed
    }
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn sha256(data: &[u8]) -> String {
    hex::encode(digest(&SHA256, data))
}

#[expect(clippy::disallowed_methods, reason = "tests read their vectors")]
fn cases() -> BTreeMap<String, Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/dare");
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let case = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            cases.insert(name, case);
        }
    }
    cases
}

#[test]
fn every_case_seals_and_opens_as_recorded() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases found", cases.len());
    for (name, case) in cases {
        let context = format!("{name} ({})", case.about);
        let sealed = case.sealed();
        assert_eq!(sealed.len(), case.sealed_bytes, "{context}: sealed length");
        assert_eq!(
            sha256(&sealed),
            case.sealed_sha256,
            "{context}: sealed bytes"
        );

        let mut results = Vec::new();
        if sealed.is_empty() {
            let whole = open_to_vec(&case.key(), case.accept(), &sealed);
            results.push(("whole", whole.map(|plain| plain.to_vec())));
        } else {
            results.push(("streamed", read_stream(case.opener(), &sealed)));
            results.push(("in place", read_stream_in_place(case.opener(), &sealed)));
            if case.start == 0 && case.expect_nonce.is_none() {
                let whole = open_to_vec(&case.key(), case.accept(), &sealed);
                results.push(("whole", whole.map(|plain| plain.to_vec())));
            }
        }
        for (how, result) in results {
            match (&case.outcome, result) {
                (
                    Outcome::Opens {
                        plain_bytes,
                        plain_sha256,
                    },
                    Ok(plain),
                ) => {
                    assert_eq!(plain.len(), *plain_bytes, "{context}, {how}");
                    assert_eq!(sha256(&plain), *plain_sha256, "{context}, {how}");
                }
                (Outcome::Fails { error, index }, Err(found)) => {
                    let variant = format!("{found:?}");
                    let variant = variant.split(' ').next().unwrap();
                    assert_eq!(variant, error, "{context}, {how}");
                    assert_eq!(found.index(), *index, "{context}, {how}");
                }
                (Outcome::Opens { .. }, Err(found)) => panic!("{context}, {how}: {found}"),
                (Outcome::Fails { error, .. }, Ok(_)) => {
                    panic!("{context}, {how}: opened in spite of {error}")
                }
            }
        }
    }
}

/// The writer makes the published bytes too, where it can be brought to: at the first place of a stream.
#[test]
fn sealing_gives_the_published_first_row() {
    let nonce = StreamNonce::from_bytes(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b");
    let sealed = seal_to_vec(&crate::KEY, Cipher::Aes256Gcm, nonce, &[0]);
    assert_eq!(
        hex::encode(sealed),
        "20000000800102030405060708090a0b29c5f2b6d44cf237128fb2917fd04d2d1f"
    );
}
