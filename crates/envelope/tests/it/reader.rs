//! A whole reader by the rules of the format: from an envelope and a stored body to the plaintext.

use strongroom_dare::{Accept, Opener, PACKAGE_BYTES, SEALED_PACKAGE_BYTES};
use strongroom_envelope::{BodyLayout, Envelope, ExternalKey, ObjectPath, footer};

/// Where reading stopped, and the error's variant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

fn at<E: std::fmt::Debug>(stage: &str) -> impl Fn(E) -> Refused {
    move |error| {
        let text = format!("{error:?}");
        let end = text
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(text.len());
        Refused(format!("{stage}: {}", &text[..end]))
    }
}

/// The streams have golden files of their own, with their errors.
fn body(_: strongroom_dare::OpenError) -> Refused {
    Refused("body".to_owned())
}

pub(crate) fn read(
    path: &ObjectPath<'_>,
    key: ExternalKey<'_>,
    envelope: &str,
    stored: &[u8],
) -> Result<Vec<u8>, Refused> {
    let envelope = Envelope::from_base64(envelope).map_err(at("decode"))?;
    let object_key = envelope.open(path, key).map_err(at("open"))?;

    let stored_length = stored.len() as u64;
    if let Some(expected) = envelope.stored_length() {
        if stored_length != expected {
            return Err(Refused("length: not that of the envelope".to_owned()));
        }
        if expected == 0 {
            return Ok(Vec::new());
        }
    }
    let place = footer::place(stored_length).map_err(at("length"))?;
    let manifest_bytes = &stored[usize::try_from(place.offset).unwrap()..];
    let manifest = object_key
        .footer_key()
        .open(stored_length, manifest_bytes)
        .map_err(at("footer"))?;
    envelope.check_manifest(&manifest).map_err(at("footer"))?;

    let layout = BodyLayout::from_manifest(&manifest).map_err(at("layout"))?;
    let mut plain = Vec::new();
    for read in layout
        .read(0, layout.plain_length())
        .map_err(at("layout"))?
    {
        let bounds =
            usize::try_from(read.stored_start).unwrap()..usize::try_from(read.stored_end).unwrap();
        let part_key = object_key.part_key(read.part.number);
        let mut opener = Opener::new(part_key.expose(), Accept::V2Only)
            .starting_at(read.packages.first_package)
            .expecting_nonce(read.part.nonce.unwrap());
        let mut package_plain = vec![0; PACKAGE_BYTES];
        for package in stored[bounds].chunks(SEALED_PACKAGE_BYTES) {
            let opened = opener.open(package, &mut package_plain).map_err(body)?;
            plain.extend_from_slice(&package_plain[..opened.plain_bytes]);
        }
        assert!(read.packages.ends_stream);
        opener.finish().map_err(body)?;
    }
    Ok(plain)
}
