//! The decorated forms.

use crate::fake_kes::FakeKes;

#[tokio::test]
async fn headers_are_underlined_on_a_terminal_unless_told_otherwise() {
    let kes = FakeKes::start().await;
    let pipe = kes.surroundings();
    let terminal = pipe.clone().on_terminal();
    let underlined = "\u{1b}[4mKey\u{1b}[0m\na_\n";
    assert_eq!(terminal.kes(&["key", "ls", "a_"]).await.stdout, underlined);
    assert_eq!(
        terminal
            .kes(&["key", "ls", "a_", "--color", "never"])
            .await
            .stdout,
        "Key\na_\n"
    );
    assert_eq!(
        terminal
            .clone()
            .with("NO_COLOR", "1")
            .kes(&["key", "ls", "a_"])
            .await
            .stdout,
        "Key\na_\n"
    );
    assert_eq!(
        pipe.kes(&["key", "ls", "a_", "--color=always"])
            .await
            .stdout,
        underlined
    );
}

#[tokio::test]
async fn keys_and_messages_have_a_line_each_on_a_terminal() {
    let kes = FakeKes::start().await;
    let terminal = kes.surroundings().on_terminal();
    let dek = terminal.kes(&["key", "dek", "app-a"]).await.stdout;
    let lines: Vec<&str> = dek.split('\n').collect();
    assert_eq!((lines[0], lines.len()), ("", 4));
    assert!(
        lines[1].starts_with("plaintext:  hoYl") && lines[2].starts_with("ciphertext: Ypsx"),
        "{dek}"
    );
    let encrypted = terminal
        .kes(&["key", "encrypt", "app-a", "Hello World"])
        .await
        .stdout;
    assert!(
        encrypted.starts_with("\nciphertext: jTiH") && encrypted.ends_with("==\n"),
        "{encrypted}"
    );
}

#[tokio::test]
async fn a_policy_is_shown_in_words_on_a_terminal() {
    let kes = FakeKes::start().await;
    let shown = kes
        .surroundings()
        .on_terminal()
        .kes(&["policy", "show", "app"])
        .await
        .stdout;
    let start = "Allow:\n  · /v1/api\n  · /v1/status\nDeny:\n  · /v1/key/decrypt/app-locked*\n\nCreated at: 2026-11-21 04:31:46\n";
    assert!(shown.starts_with(start), "{shown}");
}
