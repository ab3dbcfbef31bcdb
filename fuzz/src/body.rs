//! Bodies of requests and answers.

use strongroom_kes_api::body::{
    ApiRoutes, AuditEvent, BulkDecryptRequest, BulkDecryptResponse, DecryptRequest,
    DecryptResponse, EncryptRequest, EncryptResponse, ErrorEvent, FromJson, GenerateRequest,
    GenerateResponse, HmacRequest, HmacResponse, IdentityInfo, IdentityPage, ImportKeyRequest,
    KeyInfo, NamePage, NdjsonList, PolicyDocument, PolicyInfo, SelfInfo, StatusResponse, ToJson,
    VersionResponse, is_ndjson,
};
use strongroom_kes_api::error::KesError;

/// What reads can be written, and reads again as the same.
fn round<T: FromJson + ToJson>(body: &[u8]) {
    if let Ok(first) = T::from_json(body) {
        let written = first.to_json();
        let Ok(second) = T::from_json(&written) else {
            panic!("what was written does not read");
        };
        assert!(*second.to_json() == *written, "a second form");
    }
}

/// Any bytes as a body of each request.
pub fn request(data: &[u8]) {
    let Some((&kind, body)) = data.split_first() else {
        return;
    };
    match kind % 7 {
        0 => {
            if let Ok(import) = ImportKeyRequest::from_json(body) {
                let _ = import.into_checked();
            }
            round::<ImportKeyRequest>(body);
        }
        1 => round::<GenerateRequest>(body),
        2 => round::<EncryptRequest>(body),
        3 => round::<DecryptRequest>(body),
        4 => round::<BulkDecryptRequest>(body),
        5 => round::<HmacRequest>(body),
        _ => round::<PolicyDocument>(body),
    }
}

/// Any bytes as an answer that a client reads: of each call, an error, or a line of a log.
pub fn answer(data: &[u8]) {
    let Some((&kind, body)) = data.split_first() else {
        return;
    };
    match kind % 20 {
        0 => round::<GenerateResponse>(body),
        1 => round::<EncryptResponse>(body),
        2 => round::<DecryptResponse>(body),
        3 => round::<BulkDecryptResponse>(body),
        4 => round::<HmacResponse>(body),
        5 => round::<KeyInfo>(body),
        6 => round::<NamePage>(body),
        7 => round::<IdentityPage>(body),
        8 => round::<PolicyInfo>(body),
        9 => round::<PolicyDocument>(body),
        10 => round::<IdentityInfo>(body),
        11 => round::<SelfInfo>(body),
        12 => round::<VersionResponse>(body),
        13 => round::<StatusResponse>(body),
        14 => round::<ApiRoutes>(body),
        15 => round::<AuditEvent>(body),
        16 => round::<ErrorEvent>(body),
        17 => {
            if let Ok(list) = NdjsonList::parse(body) {
                let lines = body.split(|b| *b == b'\n').count();
                assert!(list.names.len() <= lines, "more names than lines");
            }
        }
        18 => {
            let error = KesError::from_response(400, Some("application/json"), body);
            let _ = (error.kind(), error.to_json());
            assert_eq!(error.status(), 400);
        }
        _ => {
            let text = String::from_utf8_lossy(body);
            let _ = is_ndjson(Some(&text));
            let error = KesError::from_response(500, Some(&text), body);
            assert_eq!(error.status(), 500);
        }
    }
}
