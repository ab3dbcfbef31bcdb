use super::*;

fn key() -> EtagKey {
    EtagKey::new(EtagKeyId::new(7).unwrap(), [0x77; 32])
}

const MD5: Etag = Etag {
    digest: [0x5d; 16],
    parts: None,
};
const GENERATION: GenerationId = GenerationId([1, 2, 3, 4, 5, 6, 7, 8]);

#[test]
fn hidden_etag_comes_back_only_under_the_same_key_and_place() {
    let (key, path) = (key(), ObjectPath::new("bucket", "key"));
    let hidden = key.hide(MD5, &path, GENERATION);
    assert_ne!(hidden.digest, MD5.digest);
    assert_eq!(key.reveal(hidden, &path, GENERATION), MD5);
    let other = EtagKey::new(key.id(), [0x78; 32]);
    assert_ne!(other.reveal(hidden, &path, GENERATION), MD5);
    for (path, generation) in [
        (ObjectPath::new("bucke", "tkey"), GENERATION),
        (ObjectPath::new("bucket", "key/"), GENERATION),
        (path, GenerationId([0; 8])),
    ] {
        assert_ne!(key.hide(MD5, &path, generation), hidden);
    }
}

#[test]
fn hidden_etag_is_the_vector_of_the_format() {
    let path = ObjectPath::new("bkt", "dir/obj");
    let md5 = Etag::parse("5d41402abc4b2a76b9719d911017c592-3").unwrap();
    let hidden = key().hide(md5, &path, GENERATION);
    assert_eq!(hidden.to_string(), "a1bbfba9bfc97313e488be0f54d4d011-3");
}

#[test]
fn etag_text_has_one_form() {
    for good in [
        "5d41402abc4b2a76b9719d911017c592",
        "5d41402abc4b2a76b9719d911017c592-10000",
    ] {
        assert_eq!(Etag::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "-1",
        "5d41402abc4b2a76b9719d911017c59",
        "5D41402ABC4B2A76B9719D911017C592",
        "5d41402abc4b2a76b9719d911017c592-0",
        "5d41402abc4b2a76b9719d911017c592-01",
        "5d41402abc4b2a76b9719d911017c592-+1",
        "5d41402abc4b2a76b9719d911017c592-10001",
        "5d41402abc4b2a76b9719d911017c592-",
    ] {
        assert_eq!(Etag::parse(bad), None, "{bad}");
    }
    assert_eq!(
        Etag::opaque([0xab; 16]).to_string(),
        format!("{}-1", "ab".repeat(16))
    );
}

#[test]
fn keys_are_kept_whole_and_damage_is_seen() {
    let keys = EtagKeys(vec![
        key(),
        EtagKey::new(EtagKeyId::new(3).unwrap(), [3; 32]),
    ]);
    let bytes = keys.encode();
    let back = EtagKeys::decode(&bytes).unwrap();
    assert_eq!(back.current().id(), key().id());
    assert_eq!(
        back.get(EtagKeyId::new(3).unwrap()).unwrap().expose(),
        &[3; 32]
    );
    assert!(back.get(EtagKeyId::new(4).unwrap()).is_none());
    for cut in 0..bytes.len() {
        assert!(EtagKeys::decode(&bytes[..cut]).is_err());
    }
    let mut twice = bytes.to_vec();
    twice.copy_within(3..7, 39);
    assert!(EtagKeys::decode(&twice).is_err());
    assert!(EtagKeys::decode(&[1, 0, 0]).is_err());
    assert_eq!(format!("{:?}", key()), "EtagKey(7, secret)");
}

#[test]
fn a_new_key_goes_before_the_old_ones_under_a_number_of_its_own() {
    let old = EtagKeyId::new(7).unwrap();
    let keys = EtagKeys::new(EtagKey::new(old, [1; 32]));
    let keys = keys.renewed([2; 32]).unwrap();
    assert_eq!(
        (keys.current().id().get(), keys.current().expose()),
        (8, &[2; 32])
    );
    assert_eq!(keys.get(old).unwrap().expose(), &[1; 32]);
    let keys = EtagKeys::decode(&keys.encode()).unwrap();
    assert_eq!(keys.current().id().get(), 8);

    let last = EtagKeyId::new(u32::MAX).unwrap();
    assert!(
        EtagKeys::new(EtagKey::new(last, [1; 32]))
            .renewed([2; 32])
            .is_none()
    );
    let mut full = keys;
    for _ in 2..ETAG_KEYS_MAX {
        full = full.renewed([3; 32]).unwrap();
    }
    assert!(full.renewed([3; 32]).is_none());
}
