//! Objects as a MinIO server stored them, opened from their metadata to their plaintext.

use strongroom_dare::{Accept, open_to_vec};
use strongroom_envelope::upstream::UpstreamRecord;
use strongroom_envelope::{ClientKey, DataKey, ObjectPath, Scheme};

use crate::files;

#[test]
fn stored_objects_of_every_scheme_open_to_their_plaintext() {
    let objects = files::json("mc/stored-objects.json");
    let objects = objects.as_array().unwrap();
    assert_eq!(objects.len(), 16);
    for object in objects {
        let text = |member: &str| object[member].as_str().unwrap();
        let path = ObjectPath::new(text("bucket"), text("object"));
        let metadata = object["metadata"].as_object().unwrap();
        let entries = metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        let record = UpstreamRecord::parse(entries).unwrap().unwrap();
        assert_eq!(record.scheme().to_string(), text("scheme"));

        let object_key = if let Some((name, sealed)) = record.data_key() {
            assert_eq!(name, text("kms_key"));
            let context = record.kms_context(&path).canonical();
            assert_eq!(context, text("kms_context"));
            let master = files::stored_key(&format!("mc/stored-objects-kes-keystore/{name}"));
            let data_key = master.open(sealed, context.as_bytes()).unwrap();
            assert_eq!(*data_key, files::base64(&object["data_key"]));
            record
                .unseal(&path, &DataKey::try_from_slice(&data_key).unwrap())
                .unwrap()
        } else {
            assert_eq!(record.scheme(), Scheme::SseC);
            let client = ClientKey::try_from_slice(&files::base64(&object["data_key"])).unwrap();
            let other = ClientKey::from_bytes([1; 32]);
            assert!(record.unseal(&path, &other).is_err());
            record.unseal(&path, &client).unwrap()
        };
        assert_eq!(
            object_key.expose(),
            files::base64(&object["object_key"]).as_slice()
        );
        assert_eq!(
            record.etag(&object_key).unwrap().as_deref(),
            Some(text("etag"))
        );

        let part_number = object["part_number"].as_u64();
        assert_eq!(record.is_multipart(), part_number.is_some());
        let number = u32::try_from(part_number.unwrap_or(1)).unwrap();
        let key = record.content_key(&object_key, number);
        let stored = files::base64(&object["stored"]);
        let plain = open_to_vec(key.expose(), Accept::V2Only, &stored).unwrap();
        assert_eq!(*plain, text("plaintext").as_bytes(), "{path:?}");
        let size = object["plaintext_size"].as_u64().unwrap();
        assert!(record.actual_size().is_none_or(|actual| actual == size));
    }
}

#[test]
fn stored_object_does_not_open_at_another_place() {
    let objects = files::json("mc/stored-objects.json");
    for object in objects.as_array().unwrap() {
        let metadata = object["metadata"].as_object().unwrap();
        let entries = metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
        let record = UpstreamRecord::parse(entries).unwrap().unwrap();
        let key = files::base64(&object["data_key"]);
        let moved = ObjectPath::new("vectors", "elsewhere");
        let outcome = if record.scheme() == Scheme::SseC {
            record.unseal(&moved, &ClientKey::try_from_slice(&key).unwrap())
        } else {
            record.unseal(&moved, &DataKey::try_from_slice(&key).unwrap())
        };
        assert!(outcome.is_err(), "{}", object["object"]);
    }
}
