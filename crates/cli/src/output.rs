//! How results look.

use std::borrow::Cow;

use clap::ValueEnum;
use clap::builder::styling::Style;
use jiff::Timestamp;

use crate::shell::Shell;

/// When to use colours and underlines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// Is this output styled?
    pub(crate) fn is_on(self, shell: &Shell<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            // https://no-color.org
            Self::Auto => {
                shell.stdout_is_terminal && (shell.env)("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }
}

/// Width of the labels; a space follows.
const LABEL_CHARS: usize = 11;

/// `Name        `.
pub(crate) fn label(text: &str) -> String {
    format!("{text:LABEL_CHARS$} ")
}

/// Underlined if styled.
pub(crate) fn header(text: &str, is_styled: bool) -> String {
    let style = if is_styled {
        Style::new().underline()
    } else {
        Style::new()
    };
    format!("{style}{text}{style:#}")
}

/// `2026-11-21 04:31:54`, UTC. An unknown time shows as the zero of the original.
pub(crate) fn date_and_time(time: Option<Timestamp>) -> String {
    match time {
        Some(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => "0001-01-01 00:00:00".to_owned(),
    }
}

/// A text that others chose, such as the path of somebody's request: control characters, which a terminal would obey, are
/// spelt out.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A header and one name a line; nothing at all without names. As JSON an array, `null` without names.
pub(crate) fn print_names(
    shell: &mut Shell<'_>,
    title: &str,
    names: &[String],
    as_json: bool,
    colour: Colour,
) -> anyhow::Result<()> {
    if as_json {
        let json = if names.is_empty() {
            "null".to_owned()
        } else {
            serde_json::to_string(names)?
        };
        shell.print(&format!("{json}\n"))?;
        return Ok(());
    }
    if names.is_empty() {
        return Ok(());
    }
    let mut text = header(title, colour.is_on(shell));
    text.push('\n');
    for name in names {
        text.push_str(name);
        text.push('\n');
    }
    Ok(shell.print(&text)?)
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_terminal_is_not_steered_by_what_others_chose() {
        assert_eq!(harmless("/v1/key/create/\u{fc}b"), "/v1/key/create/\u{fc}b");
        assert_eq!(
            harmless("a\u{1b}[2Jb\r\n\u{9b}c\u{7f}"),
            "a\\u{1b}[2Jb\\r\\n\\u{9b}c\\u{7f}"
        );
    }
}
