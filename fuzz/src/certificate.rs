//! PEM files, and certificates as peers and proxies send them.

use strongroom_kes_api::identity::{Identity, of_peer};
use strongroom_kes_api::path;
use strongroom_transport::{certificate, pem};

/// Key derivations of encrypted keys are meant to take long; a fuzzer would do nothing else.
const DERIVATION_BYTES_MAX: usize = 512;

/// Any bytes as a PEM file with certificates and keys, encrypted ones among them.
pub fn read_pem(data: &[u8]) {
    if let Ok(blocks) = pem::blocks(data) {
        let is_short = data.len() <= DERIVATION_BYTES_MAX;
        for block in blocks {
            let is_derived = block.label() == "ENCRYPTED PRIVATE KEY";
            let _ = block.open((is_short || !is_derived).then_some("password"));
        }
    }
    if let Ok(chain) = certificate::certificates(data) {
        name(&chain);
    }
    let _ = certificate::private_key(data, None);
}

/// Any bytes as certificates of a handshake: each with its length before it.
pub fn read_chain(data: &[u8]) {
    let mut chain: Vec<&[u8]> = Vec::new();
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (der, tail) = tail.split_at(length);
        chain.push(der);
        rest = tail;
    }
    name(&chain);
}

/// Any text as the header of a proxy.
pub fn read_header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(pem) = path::decode(text)
        && let Ok(chain) = certificate::certificates(pem.as_bytes())
    {
        name(&chain);
    }
}

/// A peer is who its first certificate names, and nobody further back.
fn name<C: AsRef<[u8]>>(chain: &[C]) {
    if let Ok(peer) = of_peer(chain) {
        let first = chain[0].as_ref();
        assert!(
            peer.certificate == first,
            "a certificate nobody proved to hold"
        );
        assert_eq!(Identity::of_certificate(first), Ok(peer.identity));
        let text = peer.identity.to_string();
        assert_eq!(text.parse(), Ok(peer.identity));
    }
    for der in chain {
        let _ = Identity::of_certificate(der.as_ref());
    }
}
