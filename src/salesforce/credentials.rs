//! Keys and certificates, checked before anything leaves: a wrong one is told with the command
//! that makes a right one.

use chrono::{DateTime, Utc};
use jsonwebtoken::EncodingKey;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::pkcs8::{DecodePrivateKey, ObjectIdentifier, PrivateKeyInfo};
use rsa::traits::PublicKeyParts;
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;

use super::SalesforceError;
use crate::privacy::Secret;

/// Salesforce takes no shorter key, in bytes.
const SHORTEST: usize = 2048 / 8;
/// Signing takes longer with each bit, in bytes.
const LONGEST: usize = 8192 / 8;
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

const FIX_NEW: &str = "make a new key and its certificate: `openssl req -x509 -newkey rsa:4096 -nodes -days 365 -subj /CN=orgwatch -keyout orgwatch.key -out orgwatch.crt`, and upload orgwatch.crt to the app";
const FIX_ENCRYPTED: &str = "nobody can be asked for its password at night; decrypt it: `openssl pkey -in KEY -out orgwatch.key`, then chmod 600";
const FIX_OPENSSH: &str = "convert a copy of it: `ssh-keygen -p -N \"\" -m PKCS8 -f KEY`; or make a new key: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out orgwatch.key`";
const FIX_PKCS12: &str =
    "take the key out of it: `openssl pkcs12 -in FILE -nocerts -nodes -out orgwatch.key`";
const FIX_PEM: &str = "give the private key in PEM, PKCS #8 or PKCS #1; `openssl pkey -in KEY -out orgwatch.key` writes it so";
const FIX_MATCH: &str = "name the certificate that was made with the key; `openssl req -x509 -key orgwatch.key -days 365 -subj /CN=orgwatch -out orgwatch.crt` makes one, to be uploaded to the app";
const FIX_CERTIFICATE: &str =
    "give it in PEM; `openssl x509 -inform DER -in FILE -out orgwatch.crt` converts";
const FIX_RENEW: &str = "make a new one: `openssl req -x509 -key orgwatch.key -days 365 -subj /CN=orgwatch -out orgwatch.crt`, and upload it to the app";
const FIX_RENEW_TLS: &str = "ask its CA for a new one, and upload that in Setup > Certificate and Key Management > Upload Mutual Authentication Certificate";

/// Whose key or certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The app's, which signs JWTs.
    App,
    /// The client's of mutual TLS.
    Tls,
}

impl Purpose {
    fn section(self) -> &'static str {
        match self {
            Self::App => "[salesforce]",
            Self::Tls => "[salesforce.mtls]",
        }
    }
}

/// The private key that signs.
pub(super) struct SigningKey {
    pub key: EncodingKey,
    /// Without leading zeros.
    modulus: Vec<u8>,
}

/// What is asked of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    purpose: Purpose,
    /// Of the first of its chain; None where its key is not RSA.
    modulus: Option<Vec<u8>>,
    from: DateTime<Utc>,
    /// Of the one of its chain that expires first.
    pub expires: DateTime<Utc>,
}

impl SigningKey {
    /// RSA of 2048 to 8192 bits, in PKCS #8 or #1.
    pub(super) fn read(pem: &Secret) -> Result<Self, SalesforceError> {
        let wrong = |problem, fix| wrong_key(Purpose::App, problem, fix);
        let block = private_block(pem, Purpose::App)?;
        let is_rsa = match block.label.as_str() {
            "RSA PRIVATE KEY" => true,
            "PRIVATE KEY" => {
                let info = PrivateKeyInfo::try_from(block.contents.as_slice());
                let info = info.map_err(|_| wrong("is no key in PKCS #8", FIX_PEM))?;
                info.algorithm.oid == RSA
            }
            _ => false,
        };
        if !is_rsa {
            return Err(wrong(
                "is no RSA key, and Salesforce takes no other",
                FIX_NEW,
            ));
        }
        let key = match block.label.as_str() {
            "PRIVATE KEY" => RsaPrivateKey::from_pkcs8_der(&block.contents).ok(),
            _ => RsaPrivateKey::from_pkcs1_der(&block.contents).ok(),
        };
        let key = key.ok_or_else(|| wrong("is damaged", FIX_PEM))?;
        if key.size() < SHORTEST {
            return Err(wrong("is shorter than 2048 bits", FIX_NEW));
        }
        if key.size() > LONGEST {
            return Err(wrong("is longer than 8192 bits", FIX_NEW));
        }
        let der = key.to_pkcs1_der();
        let der = der.map_err(|_| wrong("cannot be used", FIX_NEW))?;
        Ok(Self {
            key: EncodingKey::from_rsa_der(der.as_bytes()),
            modulus: key.n().to_bytes_be(),
        })
    }
}

/// The key of mutual TLS, in a form that TLS reads: RSA or elliptic.
pub(super) fn check_tls_key(pem: &Secret) -> Result<(), SalesforceError> {
    private_block(pem, Purpose::Tls).map(|_| ())
}

fn wrong_key(purpose: Purpose, problem: &str, fix: &'static str) -> SalesforceError {
    SalesforceError::Setup {
        what: format!("the key of {} {problem}", purpose.section()),
        fix: fix.into(),
    }
}

/// The first private key of a file, which may have words around it.
fn private_block(pem: &Secret, purpose: Purpose) -> Result<Pem, SalesforceError> {
    let wrong = |problem, fix| wrong_key(purpose, problem, fix);
    let text = pem.expose();
    // In the headers of a block, where the older form says so.
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("4,ENCRYPTED") {
        return Err(wrong("is encrypted", FIX_ENCRYPTED));
    }
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return Err(wrong("is in the format of OpenSSH", FIX_OPENSSH));
    }
    if text.contains("-----BEGIN PKCS12-----") || text.contains("-----BEGIN PKCS7-----") {
        return Err(wrong("is a container of keys and certificates", FIX_PKCS12));
    }
    let mut has_other = false;
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        let block = block.map_err(|_| wrong("is damaged", FIX_PEM))?;
        if block.label.ends_with("PRIVATE KEY") {
            return Ok(block);
        }
        has_other = true;
    }
    Err(match has_other {
        true => wrong("is no private key, but something else in PEM", FIX_PEM),
        false => wrong("is not in PEM", FIX_PEM),
    })
}

impl Certificate {
    /// Of a file with the certificate first, then those between it and its root.
    pub(super) fn read(pem: &str, purpose: Purpose) -> Result<Self, SalesforceError> {
        let wrong = |problem: &str| SalesforceError::Setup {
            what: format!("the certificate of {} {problem}", purpose.section()),
            fix: FIX_CERTIFICATE.into(),
        };
        let mut found: Option<Self> = None;
        for block in Pem::iter_from_buffer(pem.as_bytes()) {
            let block = block.map_err(|_| wrong("is damaged"))?;
            if block.label != "CERTIFICATE" {
                continue;
            }
            let parsed = block.parse_x509().map_err(|_| wrong("is damaged"))?;
            let validity = parsed.validity();
            let moment = |seconds| DateTime::from_timestamp(seconds, 0);
            let from = moment(validity.not_before.timestamp());
            let expires = moment(validity.not_after.timestamp());
            let (Some(from), Some(expires)) = (from, expires) else {
                return Err(wrong("has no validity"));
            };
            found = Some(match found {
                Some(first) => Self {
                    from: first.from.max(from),
                    expires: first.expires.min(expires),
                    ..first
                },
                None => Self {
                    purpose,
                    modulus: match parsed.public_key().parsed() {
                        Ok(PublicKey::RSA(key)) => Some(significant(key.modulus).to_vec()),
                        _ => None,
                    },
                    from,
                    expires,
                },
            });
        }
        found.ok_or_else(|| wrong("is not in PEM"))
    }

    /// Whether it holds now.
    pub(super) fn check_time(&self, now: DateTime<Utc>) -> Result<(), SalesforceError> {
        let section = self.purpose.section();
        let what = if self.expires <= now {
            let day = self.expires.format("%Y-%m-%d");
            format!("the certificate of {section} expired on {day}")
        } else if now < self.from {
            let from = self.from.format("%Y-%m-%d %H:%M");
            format!("the certificate of {section} is not valid before {from} UTC")
        } else {
            return Ok(());
        };
        let fix = self.renewal();
        Err(SalesforceError::Setup {
            what,
            fix: fix.into(),
        })
    }

    /// Whether it was made with that key.
    pub(super) fn check_key(&self, key: &SigningKey) -> Result<(), SalesforceError> {
        if self.modulus.as_deref() == Some(significant(&key.modulus)) {
            return Ok(());
        }
        Err(SalesforceError::Setup {
            what: "the certificate of [salesforce] does not belong to the key".to_owned(),
            fix: FIX_MATCH.into(),
        })
    }

    /// Said from 30 days before the end on.
    pub(super) fn remark(&self, now: DateTime<Utc>) -> Option<String> {
        let days = (self.expires - now).num_days();
        let section = self.purpose.section();
        let day = self.expires.format("%Y-%m-%d");
        (days < 30).then(|| {
            let fix = self.renewal();
            format!("the certificate of {section} expires on {day}; {fix}")
        })
    }

    fn renewal(&self) -> &'static str {
        match self.purpose {
            Purpose::App => FIX_RENEW,
            Purpose::Tls => FIX_RENEW_TLS,
        }
    }
}

/// A number without the zeros before it.
fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    &bytes[zeros..]
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
