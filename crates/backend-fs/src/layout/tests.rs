use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

/// Reads a path of ours back to its key, as the walk does piece by piece.
fn key_of(components: &[String]) -> Option<String> {
    let mut key = Vec::new();
    for (index, name) in components.iter().enumerate() {
        let (piece, kind) = parse_name(name)?;
        key.extend(piece);
        match kind {
            NameKind::Folder => key.push(b'/'),
            NameKind::Continued => {}
            NameKind::Object if index + 1 == components.len() => {}
            NameKind::Object => return None,
        }
    }
    String::from_utf8(key).ok()
}

/// Keys that provoke: separators, dots, case, escapes, and segments around the cut.
fn keys() -> impl Strategy<Value = String> {
    let hard = prop::sample::select(vec![
        "/", "//", ".", "..", "../", "a", "A", "a/", "%", "%2e", "^", "^a", "+o", "+d", "+c", " ",
        "\0", "\\", "é", "ß", "İ", "日本", "🦀", "\u{301}", "con", ":", "*", "!", "0",
    ]);
    let run = (
        prop::sample::select(vec!["a", "B", "é", "/", "x/", "."]),
        1..400_usize,
    )
        .prop_map(|(text, times)| text.repeat(times));
    prop::collection::vec(
        prop_oneof![8 => hard.prop_map(str::to_owned), 1 => run, 4 => any::<char>().prop_map(String::from)],
        1..12,
    )
    .prop_map(|pieces| {
        let mut key = pieces.concat();
        while key.len() > KEY_BYTES_MAX {
            key.pop();
        }
        key
    })
    .prop_filter("a key has at least one byte", |key| !key.is_empty())
}

proptest! {
    #[test]
    fn a_path_reads_back_as_its_key(key in keys()) {
        prop_assert_eq!(key_of(&components(&key)), Some(key));
    }

    #[test]
    fn names_are_short_lower_case_and_harmless(key in keys()) {
        let names = components(&key);
        for name in &names {
            prop_assert!(name.len() <= COMPONENT_BYTES_MAX, "{} bytes", name.len());
            prop_assert!(!name.starts_with('.'));
            prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'\\'));
            prop_assert!(!name.bytes().any(|b| b.is_ascii_uppercase()));
        }
        // Room for a root of 512 bytes below PATH_MAX (4,096).
        prop_assert!(names.iter().map(|name| name.len() + 1).sum::<usize>() <= 3400);
    }

    #[test]
    fn different_keys_have_different_paths_also_when_case_is_folded(all in prop::collection::vec(keys(), 2..20)) {
        let distinct: HashSet<_> = all.iter().collect();
        let paths: HashSet<_> =
            all.iter().map(|key| components(key).join("/").to_lowercase()).collect();
        prop_assert_eq!(distinct.len(), paths.len());
    }

    #[test]
    fn no_path_runs_through_the_file_of_another(a in keys(), b in keys()) {
        prop_assume!(a != b);
        let (a, b) = (components(&a), components(&b));
        prop_assert!(!(b.len() > a.len() && b.starts_with(&a)));
    }

    #[test]
    fn siblings_sort_as_their_keys_and_their_keys_do_not_interleave(all in prop::collection::vec(keys(), 2..30)) {
        // The order in which the walk visits children: by decoded piece, `/` appended to folders.
        let mut groups: BTreeMap<Vec<u8>, Vec<&String>> = BTreeMap::new();
        for key in &all {
            let (piece, kind) = parse_name(&components(key)[0]).unwrap();
            let mut sort = piece;
            if kind == NameKind::Folder {
                sort.push(b'/');
            }
            groups.entry(sort).or_default().push(key);
        }
        let mut walked: Vec<&String> = Vec::new();
        for group in groups.into_values() {
            let mut group = group;
            group.sort();
            walked.extend(group);
        }
        let mut sorted: Vec<&String> = all.iter().collect();
        sorted.sort();
        prop_assert_eq!(walked, sorted);
    }

    #[test]
    fn every_key_lies_below_the_folder_of_each_of_its_prefixes(key in keys(), at in any::<prop::sample::Index>()) {
        let mut cut = at.index(key.len() + 1);
        while !key.is_char_boundary(cut) {
            cut -= 1;
        }
        let (folder, told) = folder_of_prefix(Path::new("/b"), &key[..cut]);
        prop_assert!(path(Path::new("/b"), &key).starts_with(&folder));
        prop_assert!(told <= cut);
        let pieces: Vec<String> = folder.strip_prefix("/b").unwrap().iter()
            .map(|name| name.to_str().unwrap().to_owned()).collect();
        prop_assert_eq!(pieces.iter().map(|name| {
            let (piece, kind) = parse_name(name).unwrap();
            piece.len() + usize::from(kind == NameKind::Folder)
        }).sum::<usize>(), told);
    }

    #[test]
    fn a_name_that_parses_is_the_one_we_write(name in "[a-zA-Z0-9%^+./ -]{0,12}\\+[odc]") {
        if let Some((piece, kind)) = parse_name(&name)
            && let Ok(piece) = String::from_utf8(piece)
        {
            let key = match kind { NameKind::Folder => piece + "/x", _ => piece };
            prop_assert_eq!(&components(&key)[0], &name);
        }
    }
}

#[test]
fn examples_of_the_format_document() {
    let shown = |key: &str| components(key).join("/");
    assert_eq!(shown("a"), "a+o");
    assert_eq!(shown("a/b"), "a+d/b+o");
    assert_eq!(shown("a/"), "a+d/+o");
    assert_eq!(shown("//"), "+d/+d/+o");
    assert_eq!(shown("../x"), "%2e.+d/x+o");
    assert_eq!(shown("Report 1.PDF"), "^report%201.^p^d^f+o");
    assert_eq!(shown("é"), "%c3%a9+o");
    assert_eq!(shown(&"x".repeat(137)), format!("{}+o", "x".repeat(137)));
    assert_eq!(shown(&"x".repeat(138)), format!("{}+c/+o", "x".repeat(138)));
    assert_eq!(
        shown(&format!("{}/y", "x".repeat(140))),
        format!("{}+c/xx+d/y+o", "x".repeat(138))
    );
}

#[test]
fn foreign_names_are_not_ours() {
    for name in [
        "",
        "+",
        "a",
        ".nfs0001",
        "lost+found",
        "A+o",
        "%61+o",
        "%2F+o",
        "%2f+d",
        ".a+o",
        "^1+o",
        "a+x",
    ] {
        assert_eq!(parse_name(name), None, "{name}");
    }
    assert_eq!(parse_name(&format!("{}+o", "x".repeat(138))), None);
    assert_eq!(parse_name(&format!("{}+c", "x".repeat(139))), None);
}
