//! The mail server's password: from the environment, a private file or a systemd credential,
//! and from nowhere else.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Email;
use crate::privacy::Secret;

/// The environment variable that wins over all else.
pub const PASSWORD_VARIABLE: &str = "ORGWATCH_SMTP_PASSWORD";
/// Name of the systemd credential (`LoadCredential=smtp_password:/path`).
pub const PASSWORD_CREDENTIAL: &str = "smtp_password";
/// The folder that systemd names in the environment of a service with credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// Longest secret, in bytes.
const MAX_BYTES: u64 = 4096;

/// Why there is no password. Says where it was looked for, never what was found.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(
        "[alert.email] has a `username` but no password\nhint: set `password_file`, the systemd credential `{PASSWORD_CREDENTIAL}` or {PASSWORD_VARIABLE}"
    )]
    Missing,
    #[error("cannot read the password file `{}`: {source}\nhint: check `password_file` in [alert.email], and that this user may read it", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the password file `{}` can be read by others (mode {mode:04o})\nhint: chmod 600 it, and change the password if the machine has other users", path.display()
    )]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error(
        "the password in {place} {problem}\nhint: write the password alone, in one line of UTF-8"
    )]
    Unusable {
        place: String,
        problem: &'static str,
    },
}

/// The password of `username`; None where no user name is set.
pub fn smtp_password(
    email: &Email,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Secret>, SecretError> {
    if email.server.username.is_none() {
        return Ok(None);
    }
    if let Some(value) = env(PASSWORD_VARIABLE).filter(|value| !value.is_empty()) {
        return usable(value.into_encoded_bytes(), PASSWORD_VARIABLE.to_owned()).map(Some);
    }
    if let Some(path) = &email.server.password_file.value {
        // Neither the group nor others.
        return from_file(path, 0o077).map(Some);
    }
    if let Some(folder) = env(CREDENTIALS).filter(|value| !value.is_empty()) {
        let path = Path::new(&folder).join(PASSWORD_CREDENTIAL);
        if path.exists() {
            // systemd may let the service's own group read.
            return from_file(&path, 0o037).map(Some);
        }
    }
    Err(SecretError::Missing)
}

fn from_file(path: &Path, forbidden: u32) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::other("it is no file")));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(SecretError::NotPrivate {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    usable(bytes, format!("`{}`", path.display()))
}

fn usable(bytes: Vec<u8>, place: String) -> Result<Secret, SecretError> {
    let unusable = |problem| SecretError::Unusable { place, problem };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unusable("is too long"));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(unusable("is not UTF-8"));
    };
    // An editor ends the file with a line break.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(unusable("is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(unusable("has several lines or holds a control character"));
    }
    Ok(Secret::new(text.to_owned()))
}
