//! Keys encrypted after PKCS#8 (RFC 5958 §3) with PBES2 (RFC 8018): what `openssl pkcs8 -topk8` and `openssl genpkey`
//! write.

use ::pkcs8::EncryptedPrivateKeyInfoRef;
use ::pkcs8::pkcs5::EncryptionScheme;
use ::pkcs8::pkcs5::pbes2::{Kdf, Pbkdf2Prf};
use zeroize::Zeroizing;

use super::PemError;

/// Most rounds of PBKDF2 that are computed: some ten times what is recommended today, seconds of work. The number stands in
/// the file, so without a bound a file could keep a server busy for days.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
/// Most memory that scrypt is given: `openssl` asks for 16 MiB, careful people for 128.
const SCRYPT_BYTES_MAX: u64 = 256 << 20;
/// Most passes of scrypt over its memory, one after the other.
const SCRYPT_PASSES_MAX: u16 = 16;

pub(super) fn decrypt(der: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let unsupported = |scheme: &str| PemError::UnsupportedEncryption {
        scheme: scheme.to_owned(),
    };
    // Ciphers that are not known here, such as triple DES, do not parse.
    let info = EncryptedPrivateKeyInfoRef::try_from(der)
        .map_err(|_| unsupported("an unknown cipher of PKCS#8"))?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(unsupported("PBES1"));
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(kdf) if kdf.prf == Pbkdf2Prf::HmacWithSha1 => {
            return Err(unsupported("PBKDF2 with HMAC-SHA1"));
        }
        Kdf::Pbkdf2(kdf) if kdf.iteration_count > PBKDF2_ROUNDS_MAX => {
            return Err(PemError::TooCostly);
        }
        Kdf::Scrypt(kdf) => {
            // RFC 7914 §5: N blocks of 128 * r bytes.
            let bytes = kdf
                .cost_parameter
                .saturating_mul(128)
                .saturating_mul(u64::from(kdf.block_size));
            if bytes > SCRYPT_BYTES_MAX || kdf.parallelization > SCRYPT_PASSES_MAX {
                return Err(PemError::TooCostly);
            }
        }
        _ => {}
    }
    let document = info
        .decrypt(password)
        .map_err(|_| PemError::PasswordWrong)?;
    // The document is zeroed when it is dropped.
    Ok(Zeroizing::new(document.as_bytes().to_vec()))
}
