use std::os::unix::fs::symlink;

use super::*;

fn look(config: u8, store: u8, tls: u8) -> Look {
    Look {
        config: [config; 32],
        store: [store; 32],
        tls: [tls; 32],
    }
}

#[test]
fn a_change_counts_when_two_looks_agree() {
    let mut watch = Watch::new(look(0, 0, 0));
    assert_eq!(watch.see(look(0, 0, 0)), None);
    assert_eq!(watch.see(look(0, 0, 1)), None);
    assert_eq!(watch.see(look(0, 0, 2)), None, "still being written");
    assert_eq!(watch.see(look(0, 0, 2)), Some(Change::Certificates));
    watch.took(look(0, 0, 2));
    assert_eq!(watch.see(look(0, 0, 2)), None);
    watch.see(look(1, 0, 2));
    let whole = |is_store_changed| Some(Change::Configuration { is_store_changed });
    assert_eq!(watch.see(look(1, 0, 2)), whole(false));
    watch.took(look(1, 0, 2));
    watch.see(look(1, 1, 3));
    assert_eq!(watch.see(look(1, 1, 3)), whole(true));
}

#[test]
fn a_configuration_that_changed_while_it_was_read_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kes.yml");
    std::fs::write(&path, "one").unwrap();
    let before = Files::of_path(&path).look();
    // It is read here, and changed before its other files are known.
    std::fs::write(&path, "two").unwrap();
    let files = Files {
        config: path,
        store: Vec::new(),
        tls: vec![dir.path().join("public.crt")],
    };
    let mut watch = Watch::new(files.look().with_config_of(before));
    watch.see(files.look());
    let whole = Change::Configuration {
        is_store_changed: false,
    };
    assert_eq!(watch.see(files.look()), Some(whole));
}

#[test]
fn what_was_refused_is_told_once_and_tried_again_later() {
    let mut watch = Watch::new(look(0, 0, 0));
    watch.see(look(1, 0, 0));
    assert!(watch.see(look(1, 0, 0)).is_some());
    assert!(watch.refuse(look(1, 0, 0)));
    let tried = (0..LOOKS_BEFORE_RETRY)
        .filter(|_| watch.see(look(1, 0, 0)).is_some())
        .count();
    assert_eq!(tried, 1);
    assert!(!watch.refuse(look(1, 0, 0)), "told already");
    // Other content is news.
    watch.see(look(2, 0, 0));
    assert!(watch.see(look(2, 0, 0)).is_some());
    assert!(watch.refuse(look(2, 0, 0)));
    // What was there before needs nothing.
    watch.see(look(0, 0, 0));
    assert_eq!(watch.see(look(0, 0, 0)), None);
}

#[test]
fn content_is_seen_through_swapped_links_and_in_folders() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        std::fs::create_dir(root.join(version)).unwrap();
        std::fs::write(root.join(version).join("c"), text).unwrap();
    }
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/c", root.join("c")).unwrap();
    std::fs::create_dir(root.join("CAs")).unwrap();
    let files = Files {
        config: root.join("c"),
        store: vec![root.join("missing")],
        tls: vec![root.join("CAs")],
    };
    let first = files.look();
    assert_eq!(files.look(), first);
    symlink("..2", root.join("..tmp")).unwrap();
    std::fs::rename(root.join("..tmp"), root.join("..data")).unwrap();
    let second = files.look();
    assert_ne!(second.config, first.config);
    assert_eq!((second.store, second.tls), (first.store, first.tls));
    std::fs::write(root.join("CAs/a.pem"), "").unwrap();
    std::fs::write(root.join("missing"), "").unwrap();
    let third = files.look();
    assert_eq!(third.config, second.config);
    assert!(third.tls != second.tls && third.store != second.store);
}
