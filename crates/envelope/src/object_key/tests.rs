use super::*;

fn from_hex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn data_key() -> DataKey {
    DataKey::from_bytes([0x11; 32])
}

fn generated() -> ObjectKey {
    ObjectKey::generate(&(&data_key()).into(), &[0x22; 32])
}

#[test]
fn part_keys_match_the_vectors() {
    let key = ObjectKey::from_bytes([0; 32]);
    for (number, expected) in [
        (
            0,
            "aa7855e13839dd767cd5da7c1ff5036540c9264b7a803029315e55375287b4af",
        ),
        (
            1,
            "a3e7181c6eed030fd52f79537c56c4d07da92e56d374ff1dd2043350785b37d8",
        ),
        (
            10_000,
            "f86e65c396ed52d204ee44bd1a0bbd86eb8b01b7354e67a3b3ae0e34dd5bd115",
        ),
    ] {
        assert_eq!(hex::encode(key.part_key(number).expose()), expected);
    }
    let expected = "8394c8af7d74b15c7722382afb197dc03e490535e8fc3a24c8b510e9c766b41b";
    assert_eq!(hex::encode(generated().part_key(1).expose()), expected);
}

#[test]
fn object_key_of_a_minio_ssec_object_opens_at_its_place_alone() {
    let client = ClientKey::from_bytes(*b"32byteslongsecretkeymustprovided");
    let iv = from_hex("72855f192dc8fc24eba9ec57e6f50df8f40fa0ff5a50588f618ad2cea4d67c10");
    let sealed = base64(
        "IAAfAMBdYor5tf/UlVaQvwYlw5yKbPBeQqfygqsfHqhu1wHD9KDAP4bw38AhL12prFTS23JbbR9Re5Qv26ZnlQ==",
    );
    let key = ExternalKey::from(&client);
    let kek = key.sealing_key(Scheme::SseC, &iv, &ObjectPath::new("bucket", "object"));
    let expected = "c47eac1a2b655726a2c73d565ff522df75dae4e8a7def866335649694b2b14ed";
    assert_eq!(hex::encode(*kek), expected);
    let open = |key_name| {
        ObjectKey::unseal(
            &sealed,
            &key,
            Scheme::SseC,
            &iv,
            &ObjectPath::new("bucket", key_name),
        )
    };
    let expected = "d4bef6fb18079e63828e8ab5953d9ae6d765d410d70e098d5c3d309731668f4e";
    assert_eq!(hex::encode(open("object").unwrap().expose()), expected);
    assert_eq!(open("object2").unwrap_err(), KeyMismatch);
}

fn base64(text: &str) -> [u8; SEALED_KEY_BYTES] {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
        .try_into()
        .unwrap()
}

#[test]
fn object_key_is_made_as_minio_makes_it() {
    let expected = "67bbb8a71854ac8220038f3943937d72321bf00d912c92245609f595df7e3a26";
    assert_eq!(hex::encode(generated().expose()), expected);
}

#[test]
fn sealing_keys_are_separated_by_scheme() {
    let (data, client) = (data_key(), ClientKey::from_bytes([0x11; 32]));
    let path = ObjectPath::new("bkt", "dir/obj");
    for (key, scheme, expected) in [
        (
            ExternalKey::from(&data),
            Scheme::SseS3,
            "d16689e290a7fb90af4abb6da16688ed5129f612999c5f37e031528b747d5bae",
        ),
        (
            ExternalKey::from(&data),
            Scheme::SseKms,
            "df4883cd962f36273a24ec9e54460296e528fe3fdd5c58da1eff6a64d62e3bc6",
        ),
        (
            ExternalKey::from(&client),
            Scheme::SseC,
            "e408260ad96e335af0a6c2c44b1c7b526286b53d984bf662057b23df10b9e7a7",
        ),
    ] {
        assert_eq!(
            hex::encode(*key.sealing_key(scheme, &[0x33; 32], &path)),
            expected
        );
    }
}

#[test]
fn sealed_object_key_matches_the_vector_and_opens() {
    let (data, path) = (data_key(), ObjectPath::new("bkt", "dir/obj"));
    let key = ExternalKey::from(&data);
    let sealed = generated().seal(&key, Scheme::SseS3, &[0x33; 32], &path, [0x44; 12]);
    let expected = "20001f00c44444444444444444444444cb00f2ab7ee295033e8b1bbe3438edb81ae99526c9af1dafea9c4eab62913e5df91f5b4a8f352abbaa092d5d5e7f72f2";
    assert_eq!(hex::encode(sealed), expected);
    let open = |scheme, iv: [u8; 32]| ObjectKey::unseal(&sealed, &key, scheme, &iv, &path);
    assert_eq!(open(Scheme::SseS3, [0x33; 32]).unwrap(), generated());
    assert_eq!(open(Scheme::SseKms, [0x33; 32]).unwrap_err(), KeyMismatch);
    assert_eq!(open(Scheme::SseS3, [0x32; 32]).unwrap_err(), KeyMismatch);
}

#[test]
fn minio_etag_and_metadata_keys_match_the_vectors() {
    let key = generated();
    let etag_key = key.upstream_etag_key();
    let expected = "4d26e3ca78f52a417e29653acd93f4527e1876ebede8ffcf2ec5d322a6862192";
    assert_eq!(hex::encode(*etag_key), expected);
    let md5: [u8; 16] = from_hex("5d41402abc4b2a76b9719d911017c592");
    let nonce = StreamNonce::from_bytes([0x55; 12]);
    let sealed = strongroom_dare::seal_to_vec(&etag_key, Cipher::Aes256Gcm, nonce, &md5);
    let expected = "20000f00d555555555555555555555558d959d5c19fde44de3844ebaa612fa71830e36a9f6963681c00399bf02c79730";
    assert_eq!(hex::encode(sealed), expected);
    let expected = "7f5feb6c438ecb275fbf42165e6c426d3ba674e5ba5d91db620deb86b9fb25cb";
    assert_eq!(
        hex::encode(*key.upstream_metadata_key("object-checksum")),
        expected
    );
}

#[test]
fn content_under_the_object_key_matches_the_vector() {
    let nonce = StreamNonce::from_bytes([0x66; 12]);
    let key = generated();
    let sealed = strongroom_dare::seal_to_vec(key.expose(), Cipher::Aes256Gcm, nonce, b"hello");
    let expected = "20000400e66666666666666666666666f8ce675dbe18681d6ef7f8d6203ab8ae959b500f98";
    assert_eq!(hex::encode(sealed), expected);
}

#[test]
fn object_key_sealed_by_dare_sha256_opens_and_its_version_is_not_mixed() {
    let sealed = from_hex(
        "10001f00000000004444444444444444ab7664f53c06aa71a534eae2502ae2504df8e479fe4d4a34a03a985d64d33839d29eff7e7bd0ee1ba070944d0f757d87",
    );
    let (client, iv) = (ClientKey::from_bytes([0x11; 32]), [0x33; 32]);
    assert_eq!(
        ObjectKey::unseal_legacy(&sealed, &client, &iv).unwrap(),
        generated()
    );
    let other = ClientKey::from_bytes([0x12; 32]);
    assert_eq!(
        ObjectKey::unseal_legacy(&sealed, &other, &iv).unwrap_err(),
        KeyMismatch
    );
    let path = ObjectPath::new("bkt", "dir/obj");
    let current = generated().seal(&(&client).into(), Scheme::SseC, &iv, &path, [0x44; 12]);
    assert_eq!(
        ObjectKey::unseal_legacy(&current, &client, &iv).unwrap_err(),
        KeyMismatch
    );
}

#[test]
fn secrets_show_no_byte_of_themselves() {
    assert_eq!(format!("{:?}", data_key()), "DataKey(secret)");
    let shown = format!("{:?}", ExternalKey::from(&data_key()));
    assert_eq!(shown, "Data(DataKey(secret))");
}
