//! What opens a door to others: passwords, addresses and keys come from the environment, a private
//! file or a systemd credential, and from nowhere else.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::alert::{Dkim, Email, HookUrl, Webhook};
use super::fault::Position;
use super::salesforce::{Flow, LoginSecrets, MtlsPair, Salesforce, SalesforceSecrets, TlsSecrets};
use crate::privacy::Secret;

/// The environment variable of the mail server's password, which wins over all else.
pub const PASSWORD_VARIABLE: &str = "ORGWATCH_SMTP_PASSWORD";
/// Name of its systemd credential (`LoadCredential=smtp_password:/path`).
pub const PASSWORD_CREDENTIAL: &str = "smtp_password";
/// The environment variable and the systemd credential of the key that signs mails.
const DKIM_VARIABLE: &str = "ORGWATCH_DKIM_KEY";
const DKIM_CREDENTIAL: &str = "dkim_key";
/// The same of what opens the org.
const ORG_KEY_VARIABLE: &str = "ORGWATCH_SALESFORCE_KEY";
const ORG_KEY_CREDENTIAL: &str = "salesforce_key";
const ORG_SECRET_VARIABLE: &str = "ORGWATCH_SALESFORCE_SECRET";
const ORG_SECRET_CREDENTIAL: &str = "salesforce_secret";
const MTLS_KEY_VARIABLE: &str = "ORGWATCH_SALESFORCE_MTLS_KEY";
const MTLS_KEY_CREDENTIAL: &str = "salesforce_mtls_key";
const ORG_SECTION: &str = "[salesforce]";
/// The folder that systemd names in the environment of a service with credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// Longest secret, in bytes.
const MAX_BYTES: u64 = 4096;
/// Longest key, in bytes.
const MAX_KEY_BYTES: u64 = 16_384;
/// Longest file of certificates, in bytes: a whole system's bundle.
const MAX_CERTIFICATE_BYTES: u64 = 1 << 20;

/// Why there is no secret. Says where it was looked for, never what was found.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(
        "{section} has no {noun}\nhint: set `{key}`, the systemd credential `{credential}` or {variable}"
    )]
    Missing {
        section: String,
        noun: &'static str,
        key: &'static str,
        credential: String,
        variable: String,
    },
    #[error("cannot read the {noun} file `{}`: {source}\nhint: check `{key}` in {section}, and that this user may read it", path.display())]
    Unreadable {
        section: String,
        noun: &'static str,
        key: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the {noun} file `{}` can be read by others (mode {mode:04o})\nhint: chmod 600 it, and change the {noun} if the machine has other users", path.display()
    )]
    NotPrivate {
        noun: &'static str,
        path: PathBuf,
        mode: u32,
    },
    #[error("the {noun} in {place} {problem}\nhint: {hint}")]
    Unusable {
        noun: &'static str,
        place: String,
        problem: String,
        hint: &'static str,
    },
    #[error(
        "`username` is missing in [salesforce] (line {line}): nothing says as whom this program signs in\nhint: set `username` and `key_file`, or flow = \"client_credentials\"; only `orgwatch login` works without", line = at.line
    )]
    NoFlow { at: Position },
}

/// The password of `username`; None where no user name is set.
pub fn smtp_password(
    email: &Email,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Secret>, SecretError> {
    if email.server.username.is_none() {
        return Ok(None);
    }
    let hiding = Hiding {
        section: "[alert.email]".to_owned(),
        noun: "password",
        key: "password_file",
        variable: PASSWORD_VARIABLE.to_owned(),
        credential: PASSWORD_CREDENTIAL.to_owned(),
        file: email.server.password_file.as_deref(),
        form: Form::Line,
    };
    hiding.read(env).map(|(secret, _)| Some(secret))
}

/// Where a webhook is, and what its `secret_header` says; no second where that is not set.
pub fn webhook_secrets(
    webhook: &Webhook,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<(HookUrl, Option<Secret>), SecretError> {
    let hiding = |noun, key, what: &str, file| Hiding {
        section: format!("[[alert.webhook]] {}", webhook.name),
        noun,
        key,
        variable: webhook.variable(what),
        credential: format!("webhook_{}_{what}", webhook.name),
        file,
        form: Form::Line,
    };
    let url = match &webhook.url {
        Some(url) => url.clone(),
        None => {
            let hiding = hiding("address", "url_file", "url", webhook.url_file.as_deref());
            let (url, place) = hiding.read(env)?;
            HookUrl::parse(url.expose(), webhook.plaintext).map_err(|bad| {
                SecretError::Unusable {
                    noun: "address",
                    place,
                    problem: bad.message,
                    hint: "write the service's whole https:// address, in one line",
                }
            })?
        }
    };
    if webhook.secret_header.is_none() {
        return Ok((url, None));
    }
    let file = webhook.secret_file.as_deref();
    let (secret, place) = hiding("secret", "secret_file", "secret", file).read(env)?;
    if !secret.expose().bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(SecretError::Unusable {
            noun: "secret",
            place,
            problem: "cannot stand in a header".to_owned(),
            hint: "write the header's whole value in ASCII, as the service gave it",
        });
    }
    Ok((url, Some(secret)))
}

/// The private key that signs mails, as its file holds it.
pub fn dkim_key(
    dkim: &Dkim,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Secret, SecretError> {
    let hiding = Hiding {
        section: "[alert.email.dkim]".to_owned(),
        noun: "key",
        key: "key_file",
        variable: DKIM_VARIABLE.to_owned(),
        credential: DKIM_CREDENTIAL.to_owned(),
        file: dkim.key_file.as_deref(),
        form: Form::Lines,
    };
    hiding.read(env).map(|(key, _)| key)
}

/// What opens the org, and the certificates of `[salesforce]`.
pub fn salesforce_secrets(
    salesforce: &Salesforce,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<SalesforceSecrets, SecretError> {
    let (credential, certificate) = match &salesforce.flow {
        Flow::Jwt {
            certificate_file, ..
        } => {
            let key = Hiding {
                section: ORG_SECTION.to_owned(),
                noun: "key",
                key: "key_file",
                variable: ORG_KEY_VARIABLE.to_owned(),
                credential: ORG_KEY_CREDENTIAL.to_owned(),
                file: salesforce.key_file.as_deref(),
                form: Form::Lines,
            };
            let certificate = certificate_file.as_deref();
            let certificate =
                certificate.map(|path| certificates(path, "certificate_file", ORG_SECTION));
            (key.read(env)?.0, certificate.transpose()?)
        }
        Flow::ClientCredentials { .. } => (client_secret(salesforce).read(env)?.0, None),
        Flow::Undecided => return Err(SecretError::NoFlow { at: salesforce.at }),
    };
    Ok(SalesforceSecrets {
        credential,
        certificate,
        tls: tls_secrets(salesforce, env)?,
    })
}

/// What the program needs when a person signs in: not its own key, and a client secret only where
/// there is one.
pub fn login_secrets(
    salesforce: &Salesforce,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<LoginSecrets, SecretError> {
    let client_secret = match client_secret(salesforce).read(env) {
        Ok((secret, _)) => Some(secret),
        Err(SecretError::Missing { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(LoginSecrets {
        client_secret,
        tls: tls_secrets(salesforce, env)?,
    })
}

fn client_secret(salesforce: &Salesforce) -> Hiding<'_> {
    Hiding {
        section: ORG_SECTION.to_owned(),
        noun: "secret",
        key: "secret_file",
        variable: ORG_SECRET_VARIABLE.to_owned(),
        credential: ORG_SECRET_CREDENTIAL.to_owned(),
        file: salesforce.secret_file.as_deref(),
        form: Form::Line,
    }
}

fn tls_secrets(
    salesforce: &Salesforce,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<TlsSecrets, SecretError> {
    const MTLS_SECTION: &str = "[salesforce.mtls]";
    let pair = salesforce.mtls.as_ref().map(|mtls| {
        let key = Hiding {
            section: MTLS_SECTION.to_owned(),
            noun: "key",
            key: "key_file",
            variable: MTLS_KEY_VARIABLE.to_owned(),
            credential: MTLS_KEY_CREDENTIAL.to_owned(),
            file: mtls.key_file.as_deref(),
            form: Form::Lines,
        };
        Ok(MtlsPair {
            certificate: certificates(&mtls.certificate_file, "certificate_file", MTLS_SECTION)?,
            key: key.read(env)?.0,
        })
    });
    let ca = salesforce.ca_file.as_deref();
    let ca = ca.map(|path| certificates(path, "ca_file", ORG_SECTION));
    Ok(TlsSecrets {
        mtls: pair.transpose()?,
        ca: ca.transpose()?,
    })
}

/// Certificates are no secret: anyone may read them.
fn certificates(
    path: &Path,
    key: &'static str,
    section: &'static str,
) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        section: section.to_owned(),
        noun: "certificate",
        key,
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(std::io::Error::other("it is no file")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_CERTIFICATE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let unusable = |problem: &str| SecretError::Unusable {
        noun: "certificate",
        place: format!("`{}`", path.display()),
        problem: problem.to_owned(),
        hint: "give it in PEM: `openssl x509 -inform DER -in FILE -out FILE.pem` converts",
    };
    if bytes.len() as u64 > MAX_CERTIFICATE_BYTES {
        return Err(unusable("is too long"));
    }
    String::from_utf8(bytes).map_err(|_| unusable("is no text"))
}

/// What a secret looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Line,
    /// PEM.
    Lines,
}

/// All places of one secret.
struct Hiding<'a> {
    section: String,
    noun: &'static str,
    /// Of the file.
    key: &'static str,
    variable: String,
    credential: String,
    file: Option<&'a Path>,
    form: Form,
}

impl Hiding<'_> {
    /// The secret, and where it was.
    fn read(
        &self,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(Secret, String), SecretError> {
        if let Some(value) = env(&self.variable).filter(|value| !value.is_empty()) {
            return self.usable(value.into_encoded_bytes(), self.variable.clone());
        }
        if let Some(path) = self.file {
            // Neither the group nor others.
            return self.in_file(path, 0o077);
        }
        if let Some(folder) = env(CREDENTIALS).filter(|value| !value.is_empty()) {
            let path = Path::new(&folder).join(&self.credential);
            if path.exists() {
                // systemd may let the service's own group read.
                return self.in_file(&path, 0o037);
            }
        }
        Err(SecretError::Missing {
            section: self.section.clone(),
            noun: self.noun,
            key: self.key,
            credential: self.credential.clone(),
            variable: self.variable.clone(),
        })
    }

    fn in_file(&self, path: &Path, forbidden: u32) -> Result<(Secret, String), SecretError> {
        let unreadable = |source| SecretError::Unreadable {
            section: self.section.clone(),
            noun: self.noun,
            key: self.key,
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
                noun: self.noun,
                path: path.to_owned(),
                mode,
            });
        }
        let mut bytes = Vec::new();
        file.take(self.most() + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        self.usable(bytes, format!("`{}`", path.display()))
    }

    fn most(&self) -> u64 {
        match self.form {
            Form::Line => MAX_BYTES,
            Form::Lines => MAX_KEY_BYTES,
        }
    }

    fn usable(&self, bytes: Vec<u8>, place: String) -> Result<(Secret, String), SecretError> {
        let unusable = |problem: &str| SecretError::Unusable {
            noun: self.noun,
            place: place.clone(),
            problem: problem.to_owned(),
            hint: match self.form {
                Form::Line => "write it alone, in one line of UTF-8",
                Form::Lines => {
                    "give the private key alone, in PEM; `openssl pkcs12 -in FILE -nocerts -nodes -out key.pem` takes it out of a .p12 or .pfx, `openssl pkey -inform DER -in FILE -out key.pem` converts DER"
                }
            },
        };
        if bytes.len() as u64 > self.most() {
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
        let ends_line = |c: char| self.form == Form::Lines && matches!(c, '\r' | '\n');
        if text.chars().any(|c| c.is_control() && !ends_line(c)) {
            return Err(unusable("has several lines or holds a control character"));
        }
        Ok((Secret::new(text.to_owned()), place))
    }
}
