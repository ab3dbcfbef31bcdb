//! Secrets on the command line: whoever prints the parsed arguments does not print them.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use zeroize::Zeroizing;

/// An argument that is not shown, and wiped when dropped. (The command-line parser wants to clone what it parses.)
#[derive(Clone)]
pub(crate) struct SecretArgument(Zeroizing<String>);

impl FromStr for SecretArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl Deref for SecretArgument {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretArgument")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::KesCli;

    #[test]
    fn parsed_arguments_show_no_secret() {
        for line in [
            "kes key import k geheim -a geheim",
            "kes key encrypt k geheim",
            "kes status --api-key geheim",
        ] {
            let parsed = KesCli::try_parse_from(line.split(' ')).unwrap();
            assert!(!format!("{parsed:?}").contains("geheim"), "{parsed:?}");
        }
    }
}
