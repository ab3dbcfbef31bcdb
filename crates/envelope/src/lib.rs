#![forbid(unsafe_code)]
//! The key hierarchy and the sealed object: what is stored beside and around the sealed bytes.
//!
//! Read the modules from the top of the hierarchy down:
//!
//! | Module | From → to |
//! |---|---|
//! | [`master`] | an external key (EK) seals small secrets under a context; every ciphertext form of upstream KES opens |
//! | [`context`] | what a data key (DEK) is bound to |
//! | [`object_key`] | data key or client's key → object key (OEK), bound to bucket and key |
//! | [`envelope`] | the record that lies beside a sealed object: everything needed to get back to the object key |
//! | [`geometry`], [`layout`] | plaintext length ↔ stored length; a range of the plaintext → stored bytes |
//! | [`footer`] | the sealed table of parts at the end of the stored body |
//! | [`etag`] | MD5 ETags that lie on no disk |
//! | [`state`] | our own records under the state key |
//! | [`upstream`] | objects as MinIO stored them, to read |
//!
//! The formats are described byte by byte in `docs/formats/sealed-object.md`, `docs/formats/kes-ciphertext.md` and
//! `docs/formats/state.md`. The crate is pure: it has no clock, no files and no random numbers; random bytes are
//! arguments and must come from a cryptographic generator, fresh for every call.
//!
//! A plain PUT and its GET, without the streams in between:
//!
//! ```
//! use strongroom_dare::{Cipher, StreamNonce, seal_to_vec};
//! use strongroom_envelope::{
//!     ClientKey, Envelope, Kind, Manifest, NewEnvelope, ObjectPath, Protection, footer,
//! };
//!
//! let (path, plain) = (ObjectPath::new("bucket", "key"), b"a secret");
//! let client_key = ClientKey::from_bytes([7; 32]); // from the request
//! let (object_random, stream_nonce, footer_nonce) = ([1; 84], [2; 12], [3; 12]); // from the system's random source
//!
//! let new = NewEnvelope {
//!     path,
//!     kind: Kind::Single { plain_length: 8 },
//!     protection: Protection::SseC,
//!     empty_checksum: None,
//!     etag_key: None,
//! };
//! let (object_key, envelope) = Envelope::create(new, &client_key, &object_random)?;
//! let nonce = StreamNonce::from_bytes(stream_nonce);
//! let mut stored = seal_to_vec(object_key.part_key(1).expose(), Cipher::Aes256Gcm, nonce, plain);
//! let manifest = Manifest::single(8, nonce, None)?;
//! stored.extend(object_key.footer_key().seal(&manifest, footer_nonce));
//!
//! let envelope = Envelope::from_base64(&envelope.to_base64())?;
//! let object_key = envelope.open(&path, &client_key)?; // no byte before this succeeded
//! assert_eq!(envelope.stored_length(), Some(stored.len() as u64));
//! let place = footer::place(stored.len() as u64)?;
//! let bytes = &stored[stored.len() - place.length as usize..];
//! let manifest = object_key.footer_key().open(stored.len() as u64, bytes)?;
//! envelope.check_manifest(&manifest)?;
//! assert_eq!(manifest.parts()[0].nonce, nonce);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
// Every number of our formats is little-endian.
#![deny(clippy::big_endian_bytes, clippy::host_endian_bytes)]

mod aead;
mod checksum;
mod codec;
pub mod context;
pub mod envelope;
pub mod etag;
mod fingerprint;
pub mod footer;
pub mod geometry;
mod hmac;
pub mod layout;
pub mod master;
pub mod object_key;
mod path;
mod public_keys;
mod scheme;
mod secret;
pub mod state;
pub mod upstream;

pub use checksum::{BadChecksum, Checksum, ChecksumAlgorithm, ChecksumType, ObjectChecksum};
pub use context::{Context, ContextError};
pub use envelope::{
    COPY_RANDOM_BYTES, CreateError, DecodeError, Envelope, GenerationId, Kind, NewEnvelope,
    OBJECT_RANDOM_BYTES, OpenError, Protection, REWRAP_RANDOM_BYTES, SealedDataKey,
};
pub use etag::{Etag, EtagKey, EtagKeyId, EtagKeys};
pub use fingerprint::Fingerprint;
pub use footer::{BodyKind, FooterError, Manifest, ManifestError, ManifestPlace, PartEntry};
pub use geometry::{LengthError, plain_length_of_stored, stored_length};
pub use layout::{BodyLayout, PartPlace, PartRead};
pub use master::{MasterCipher, MasterKey, NotAuthentic};
pub use object_key::{ExternalKey, KeyMismatch};
pub use path::ObjectPath;
pub use public_keys::is_publicly_known;
pub use scheme::Scheme;
pub use secret::{
    ClientKey, DataKey, FooterKey, HmacKey, ObjectKey, PartKey, StateKey, WrongKeyLength,
};
pub use state::{OpenRecord, RecordError, StateKeyRecord};
