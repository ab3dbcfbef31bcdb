//! The root user's name and password.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Shortest user name, in characters; MinIO's rule, so that existing settings keep working.
const USER_CHARS_MIN: usize = 3;
/// Shortest password, in characters; MinIO's rule as well.
const PASSWORD_CHARS_MIN: usize = 8;
/// Longest user name or password in bytes: both travel in headers.
const CREDENTIAL_BYTES_MAX: usize = 512;

/// Why a pair of root credentials is refused. Never holds the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The user name is too short.
    #[error("the root user name has fewer than {USER_CHARS_MIN} characters")]
    UserTooShort,
    /// The password is too short.
    #[error("the root password has fewer than {PASSWORD_CHARS_MIN} characters")]
    PasswordTooShort,
    /// The user name or the password is too long.
    #[error("the root user name or password has more than {CREDENTIAL_BYTES_MAX} bytes")]
    TooLong,
    /// The user name has a character that a signed request cannot carry.
    #[error(
        "the root user name has a character that signatures cannot carry: \
         use printable ASCII without '/', ',', '=' and spaces"
    )]
    UserUnusable,
}

/// The one user that may do everything.
///
/// The password is zeroed when the value is dropped and shows in no output.
pub struct RootCredentials {
    user: String,
    password: Zeroizing<String>,
}

impl RootCredentials {
    /// Checks a user name and a password.
    ///
    /// # Errors
    /// The user name has fewer than 3 or the password fewer than 8 characters, one is longer than a header should
    /// be, or the name cannot be told apart within a signature's credential scope (`NAME/date/region/…`).
    pub fn new(
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, CredentialError> {
        let user = user.into();
        let password = Zeroizing::new(password.into());
        if user.chars().count() < USER_CHARS_MIN {
            return Err(CredentialError::UserTooShort);
        }
        if password.chars().count() < PASSWORD_CHARS_MIN {
            return Err(CredentialError::PasswordTooShort);
        }
        if user.len().max(password.len()) > CREDENTIAL_BYTES_MAX {
            return Err(CredentialError::TooLong);
        }
        let usable = |b: u8| b.is_ascii_graphic() && !matches!(b, b'/' | b',' | b'=');
        if !user.bytes().all(usable) {
            return Err(CredentialError::UserUnusable);
        }
        Ok(Self { user, password })
    }

    /// The user name, which is the access key of signed requests.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, which is the secret key of signed requests.
    #[must_use]
    pub fn expose_password(&self) -> &str {
        &self.password
    }

    /// Whether `access_key` is the root user's, in time that does not tell how much of it is right.
    #[must_use]
    pub fn is_root(&self, access_key: &str) -> bool {
        self.user.as_bytes().ct_eq(access_key.as_bytes()).into()
    }
}

impl fmt::Debug for RootCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootCredentials")
            .field("user", &self.user)
            .field("password", &"[redacted]")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_long_and_unusable_credentials_are_refused() {
        let long = "x".repeat(CREDENTIAL_BYTES_MAX + 1);
        let cases = [
            ("ab", "password", CredentialError::UserTooShort),
            ("", "password", CredentialError::UserTooShort),
            ("abc", "passwor", CredentialError::PasswordTooShort),
            ("abc", long.as_str(), CredentialError::TooLong),
            ("a/c", "password", CredentialError::UserUnusable),
            ("a b", "password", CredentialError::UserUnusable),
            ("aé3", "password", CredentialError::UserUnusable),
            ("a,c", "password", CredentialError::UserUnusable),
        ];
        for (user, password, expected) in cases {
            assert_eq!(
                RootCredentials::new(user, password).unwrap_err(),
                expected,
                "{user:?}"
            );
        }
        RootCredentials::new("abc", "password").unwrap();
    }

    #[test]
    fn the_password_does_not_show_in_debug_output() {
        let root = RootCredentials::new("admin", "hunter2hunter2").unwrap();
        let shown = format!("{root:?}");
        assert!(
            shown.contains("admin") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn only_the_whole_name_is_root() {
        let root = RootCredentials::new("admin", "hunter2hunter2").unwrap();
        assert!(root.is_root("admin"));
        for other in ["", "admi", "admin2", "Admin"] {
            assert!(!root.is_root(other), "{other}");
        }
    }
}
