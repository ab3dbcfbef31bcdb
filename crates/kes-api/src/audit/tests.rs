use super::*;

const RECORD: &str = "{\"time\":\"2026-01-02T03:04:05Z\",\"request\":{\"ip\":\"1.2.3.4\",\"path\":\"/v1/key/create/x\",\"identity\":\"ab\"},\"response\":{\"code\":200,\"time\":5000}}\n";

fn time() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// A start, three records, and a record of two lost ones.
fn sample() -> Vec<Vec<u8>> {
    let (mut chain, first) = Chain::open([7; 16], time(), None, 0);
    let mut lines = vec![first];
    for _ in 0..3 {
        lines.push(chain.link(RECORD.as_bytes()));
    }
    lines.push(chain.link_dropped(time(), 2));
    lines
}

fn broken(lines: &[Vec<u8>]) -> (u64, Break) {
    match verify(lines.concat().as_slice()) {
        Err(VerifyError::Broken { line, what }) => (line, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_file_is_sound_and_its_last_hash_is_told() {
    let lines = sample();
    let report = verify(lines.concat().as_slice()).unwrap();
    assert_eq!((report.lines, report.foreign), (5, 0));
    let [chain] = report.chains.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!((chain.records, chain.dropped, chain.torn), (3, 2, 0));
    assert_eq!((chain.first_seq, chain.last.seq), (0, 4));
    assert_eq!((chain.opening, chain.after), (Opening::Start, Hash::ZERO));
    assert_eq!(chain.id, "07".repeat(16));
    let last = String::from_utf8(lines[4].clone()).unwrap();
    assert!(last.contains(&format!("\"hash\":\"{}\"", chain.last.hash)));
}

#[test]
fn the_form_of_a_line_is_for_ever() {
    let lines = sample();
    assert_eq!(
        String::from_utf8(lines[0].clone()).unwrap(),
        "{\"time\":\"2026-01-02T03:04:05Z\",\"chain\":{\"version\":1,\"id\":\"07070707070707070707070707070707\",\"event\":\"start\"},\"seq\":0,\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"hash\":\"183550e11be8362fbd0d358b283f67bcadeb7509e6026ef7e1e137beb429c808\"}\n"
    );
}

#[test]
fn every_changed_byte_is_found_and_its_line_named() {
    let lines = sample();
    for number in 0..lines.len() {
        for at in 0..lines[number].len() - 1 {
            let mut changed = lines.clone();
            changed[number][at] ^= 1;
            if at == 0 {
                // No object any more, so no line of the chain: the next one misses it, and behind the last there is none.
                let is_last = number == lines.len() - 1;
                assert_eq!(verify(changed.concat().as_slice()).is_ok(), is_last);
                continue;
            }
            let (line, _) = broken(&changed);
            assert_eq!(line, number as u64 + 1, "byte {at}");
        }
    }
}

#[test]
fn lines_removed_moved_or_repeated_are_found() {
    let lines = sample();
    let without = |gone: usize| {
        let mut rest = lines.clone();
        rest.remove(gone);
        rest
    };
    assert_eq!(broken(&without(0)), (1, Break::HeadMissing { seq: 1 }));
    let gap = |expected, found| Break::Gap { expected, found };
    assert_eq!(broken(&without(2)), (3, gap(2, 3)));
    let mut moved = lines.clone();
    moved.swap(2, 3);
    assert_eq!(broken(&moved), (3, gap(2, 3)));
    let mut repeated = lines.clone();
    repeated.insert(2, lines[1].clone());
    assert_eq!(broken(&repeated), (3, gap(2, 1)));
    // A line of the right number and a right hash, from another chain.
    let (mut other, _) = Chain::open([8; 16], time(), None, 0);
    let mut exchanged = lines.clone();
    exchanged[1] = other.link(RECORD.as_bytes());
    assert_eq!(broken(&exchanged), (2, Break::Unlinked));
}

#[test]
fn a_missing_end_is_not_found_by_the_chain_but_by_its_last_hash() {
    let lines = sample();
    let whole = verify(lines.concat().as_slice()).unwrap();
    let cut = verify(lines[..3].concat().as_slice()).unwrap();
    assert_ne!(whole.chains[0].last, cut.chains[0].last);
}

#[test]
fn a_chain_goes_on_after_a_restart_and_in_a_new_file() {
    let mut lines = sample();
    let end = tail(&lines.concat());
    assert_eq!((end.last.unwrap().seq, end.torn), (4, 0));
    let (mut chain, first) = Chain::open([9; 16], time(), end.last, 0);
    let second = [first, chain.link(RECORD.as_bytes())];
    let alone = verify(second.concat().as_slice()).unwrap();
    assert_eq!(alone.chains[0].opening, Opening::Continue);
    assert_eq!(alone.chains[0].after, end.last.unwrap().hash);
    assert_eq!(alone.chains[0].first_seq, 5);
    lines.extend(second);
    let both = verify(lines.concat().as_slice()).unwrap();
    assert_eq!((both.chains.len(), both.chains[0].continued), (1, 1));
    // A record between the files is missed.
    lines.remove(4);
    assert_eq!(broken(&lines).0, 5);
}

#[test]
fn a_line_cut_off_by_a_crash_is_forgiven_when_the_next_opening_tells_of_it() {
    for told in [true, false] {
        let mut lines = sample();
        let cut = lines[4].len() - 20;
        lines[4].truncate(cut);
        let end = tail(&lines.concat());
        assert_eq!((end.last.unwrap().seq, end.torn), (3, cut as u64));
        lines[4].push(b'\n');
        let torn = if told { end.torn } else { 0 };
        let (_, first) = Chain::open([9; 16], time(), end.last, torn);
        lines.push(first);
        if told {
            let report = verify(lines.concat().as_slice()).unwrap();
            assert_eq!(report.chains[0].torn, 1);
        } else {
            assert_eq!(broken(&lines), (5, Break::Form));
        }
    }
}

#[test]
fn several_starts_are_several_chains_and_other_lines_are_passed_over() {
    let file = [
        b"Version    1.0\n\n".to_vec(),
        sample().concat(),
        vec![b'x'; 3 * LINE_BYTES_MAX],
        b"\n".to_vec(),
        sample().concat(),
    ];
    let report = verify(file.concat().as_slice()).unwrap();
    assert_eq!((report.chains.len(), report.foreign), (2, 3));
    assert_eq!((report.chains[0].line, report.chains[1].line), (3, 9));
    for empty in [&b""[..], b"text\n"] {
        assert!(matches!(verify(empty), Err(VerifyError::Empty)));
    }
    let long = format!("{{{}}}\n", "x".repeat(LINE_BYTES_MAX));
    assert!(verify(long.as_bytes()).is_err());
}

#[test]
fn a_line_of_two_kinds_or_none_is_refused() {
    for record in [
        "{\"time\":\"2026-01-02T03:04:05Z\"}",
        "{\"time\":\"2026-01-02T03:04:05Z\",\"dropped\":1,\"request\":{},\"response\":{}}",
        "{\"time\":\"2026-01-02T03:04:05Z\",\"dropped\":-1}",
        "{\"dropped\":1}",
    ] {
        let (mut chain, first) = Chain::open([7; 16], time(), None, 0);
        let line = chain.link(record.as_bytes());
        assert_eq!(broken(&[first, line]), (2, Break::Form), "{record}");
    }
}
