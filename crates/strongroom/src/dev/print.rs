//! What `strongroom dev` prints: where things are and what to type, in steps.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;

use super::folder::{Folder, quoted};
use super::{KEY, REMEMBERED};

/// Shows the way. Plain where the output is no terminal, and nothing in it depends on colour.
pub(super) fn welcome(folder: &Folder, s3: SocketAddr, kes: SocketAddr) {
    let out = std::io::stdout();
    let text = text(folder, s3, kes, out.is_terminal());
    let mut out = out.lock();
    // Nobody may be listening; the servers run all the same.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn text(folder: &Folder, s3: SocketAddr, kes: SocketAddr, styled: bool) -> String {
    let (bold, dim, plain) = if styled {
        ("\x1b[1m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let env = folder.env_path();
    let env = env.to_string_lossy();
    let env = if is_plain_word(&env) {
        env.into_owned()
    } else {
        quoted(&env)
    };
    let program = program();
    let credentials = if folder.is_new {
        format!(
            "user {}, password {} {dim}(shown once, kept in the file env){plain}",
            folder.credentials.user, *folder.credentials.password
        )
    } else {
        format!("user {}, password in the file env", folder.credentials.user)
    };
    format!(
        "\n\
         {bold}Strongroom is ready: every object is encrypted, under a key of yours.{plain}\n\n\
         1. In another terminal, load the settings:\n\n   \
            . {env}\n\n\
         2. Make a bucket, put something in, take it out again:\n\n   \
            aws s3 mb s3://my-bucket\n   \
            echo \"for my eyes only\" | aws s3 cp - s3://my-bucket/note.txt\n   \
            aws s3 cp s3://my-bucket/note.txt -\n\n\
         3. See the key that it is encrypted under:\n\n   \
            {program} kes key ls\n\n\
         Objects  https://{s3}  {credentials}\n\
         Keys     https://{kes}  {KEY}; once deleted, it still works for up to {} seconds (caches)\n\
         Files    {}\n\n\
         {dim}Ctrl-C stops; the same command starts again where it stopped.{plain}\n",
        2 * REMEMBERED.as_secs(),
        folder.path.display(),
    )
}

/// How the reader starts this program: by its name where the shell finds it, else by its path.
fn program() -> String {
    const NAME: &str = "strongroom";
    let Ok(this) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .filter_map(|dir| dir.join(NAME).canonicalize().ok())
        .any(|found| found == this);
    match this.to_string_lossy() {
        _ if found => NAME.to_owned(),
        path if is_plain_word(&path) => path.into_owned(),
        path => quoted(&path),
    }
}

fn is_plain_word(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b))
}
