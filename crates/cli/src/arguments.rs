//! Arguments as older ages wrote them, turned into those of today.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

/// Turns `-key FILE` into `--key FILE`, and `tool migrate` into `migrate`; all else stays.
///
/// Until 2022 the flags had the style of Go, where one dash does before a long name. Only the exact long names of the
/// command at hand are meant: `-ik` stays a cluster of short flags.
#[must_use]
pub fn as_of_today(command: &Command, args: Vec<OsString>) -> Vec<OsString> {
    let mut args = args;
    let is = |at: usize, text: &str, args: &[OsString]| args.get(at).is_some_and(|a| a == text);
    if is(0, "tool", &args) && is(1, "migrate", &args) {
        args.remove(0);
    }
    let mut at = Place::new(command);
    let mut today = Vec::with_capacity(args.len());
    let mut rest = args.into_iter();
    for arg in rest.by_ref() {
        let arg = match arg.to_str() {
            Some("--") => {
                today.push(arg);
                break;
            }
            Some(text) => match at.with_two_dashes(text) {
                Some(long) => long.into(),
                None => arg,
            },
            None => arg,
        };
        at.pass(&arg.to_string_lossy());
        today.push(arg);
    }
    today.extend(rest);
    today
}

/// Where in the tree of commands one is, after some arguments.
pub(crate) struct Place<'c> {
    pub(crate) command: &'c Command,
    /// The last argument was a flag that takes a value: this one.
    pub(crate) wants_value: Option<&'c Arg>,
}

impl<'c> Place<'c> {
    pub(crate) fn new(command: &'c Command) -> Self {
        Self {
            command,
            wants_value: None,
        }
    }

    /// Goes on by one argument.
    pub(crate) fn pass(&mut self, arg: &str) {
        if self.wants_value.take().is_some() {
            return;
        }
        if let Some(name) = arg.strip_prefix("--") {
            if !name.contains('=') {
                self.wants_value = self.long(name).filter(|a| takes_value(a));
            }
        } else if let Some(cluster) = arg.strip_prefix('-').filter(|c| !c.is_empty()) {
            // Only the last flag of a cluster can have its value in the next argument.
            for (i, c) in cluster.char_indices() {
                match self.short(c).filter(|a| takes_value(a)) {
                    Some(flag) if i + c.len_utf8() == cluster.len() => {
                        self.wants_value = Some(flag)
                    }
                    Some(_) => break,
                    None => {}
                }
            }
        } else if let Some(command) = self.command.find_subcommand(arg) {
            self.command = command;
        }
    }

    fn with_two_dashes(&self, arg: &str) -> Option<String> {
        if self.wants_value.is_some() {
            return None;
        }
        let name = arg.strip_prefix('-').filter(|n| !n.starts_with('-'))?;
        let (name, _) = name.split_once('=').unwrap_or((name, ""));
        (name.len() > 1 && self.long(name).is_some()).then(|| format!("-{arg}"))
    }

    fn long(&self, name: &str) -> Option<&'c Arg> {
        self.command.get_arguments().find(|arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        })
    }

    fn short(&self, name: char) -> Option<&'c Arg> {
        self.command.get_arguments().find(|arg| {
            arg.get_short() == Some(name)
                || arg
                    .get_all_short_aliases()
                    .is_some_and(|all| all.contains(&name))
        })
    }
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::KesCli;

    fn today(line: &str) -> String {
        let mut command = KesCli::command();
        command.build();
        let args = line.split(' ').map(OsString::from).collect();
        let args: Vec<String> = as_of_today(&command, args)
            .into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect();
        args.join(" ")
    }

    #[test]
    fn one_dash_does_before_a_long_name_and_nowhere_else() {
        for (old, new) in [
            (
                "tool identity new -key k -cert=c -ip 127.0.0.1 -time 24h app",
                "tool identity new --key k --cert=c --ip 127.0.0.1 --time 24h app",
            ),
            (
                "tool identity of -hash SHA256 c",
                "tool identity of --hash SHA256 c",
            ),
            ("log trace -type error", "log trace --type error"),
            // Values, clusters and what follows two dashes are left alone.
            ("key ls -s -json x", "key ls -s -json x"),
            ("key ls -ka kes:v1:x", "key ls -ka kes:v1:x"),
            ("ls -ik", "ls -ik"),
            ("key encrypt k -- -json", "key encrypt k -- -json"),
            ("tool migrate --from a", "migrate --from a"),
        ] {
            assert_eq!(today(old), new);
        }
    }
}
