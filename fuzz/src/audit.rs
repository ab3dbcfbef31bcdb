//! Chains of audit lines.

use strongroom_kes_api::audit::{Chain, tail, verify};

/// Any bytes as an audit file.
pub fn read(data: &[u8]) {
    let _ = tail(data);
    if let Ok(report) = verify(data) {
        assert!(!report.chains.is_empty());
        let lines = data.split(|b| *b == b'\n').count() as u64;
        assert!(report.lines + report.foreign <= lines);
    }
}

/// A chain of records is sound, and no longer when a byte of it is another.
pub fn mutate(data: &[u8]) {
    let Some((&[low, high, mask], records)) = data.split_first_chunk() else {
        return;
    };
    let time = "2026-11-21T04:39:38Z".parse().expect("a time");
    let (mut chain, mut file) = Chain::open([9; 16], time, None, 0);
    for record in records.split(|b| *b == b'\n').take(8) {
        // Records are ours; paths are what clients choose in them, and the server cuts them.
        let text: String = String::from_utf8_lossy(record).chars().take(512).collect();
        let record = serde_json::json!({
            "time": "2026-11-21T04:39:38Z",
            "request": { "ip": "127.0.0.1", "path": text, "identity": "" },
            "response": { "code": 200, "time": 1 },
        });
        file.extend(chain.link(record.to_string().as_bytes()));
    }
    file.extend(chain.link_dropped(time, 3));
    let report = verify(&file[..]).expect("a chain that was made is sound");
    assert_eq!(Some(report.chains[0].last), chain.last());
    let end = tail(&file);
    assert_eq!((end.last, end.torn), (chain.last(), 0));

    let at = usize::from(u16::from_le_bytes([low, high])) % file.len();
    let was = file[at];
    file[at] ^= mask;
    // A broken line end may make foreign lines out of the last one, and a file whose end is missing is sound in itself.
    let is_line_end = was == b'\n' || file[at] == b'\n';
    let begins_line = at == 0 || file[at - 1] == b'\n';
    if mask != 0 && !is_line_end && !begins_line {
        let sound = verify(&file[..]);
        assert!(sound.is_err(), "byte {at} was changed: {sound:?}");
    }
}
