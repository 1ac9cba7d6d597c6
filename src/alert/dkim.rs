//! Mails signed by DKIM (RFC 6376, RFC 8463), as an option.
//!
//! A mail is signed when it is written into the outbox, not when it leaves: what goes again after a
//! crash or an outage is the same to the byte. Headers and body are signed in their relaxed form,
//! which a relay may fold anew; headers that others could add are signed as absent.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{
    ContentTransferEncoding, HeaderName, HeaderValue, Headers, MIME_VERSION_1_0,
};
use lettre::message::{
    Body, DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm,
    DkimSigningKey, MessageBuilder,
};
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey, LineEnding};
use rsa::pkcs8::der::Decode;
use rsa::pkcs8::der::asn1::OctetStringRef;
use rsa::pkcs8::{DecodePrivateKey, ObjectIdentifier, PrivateKeyInfo, SecretDocument};
use rsa::traits::PublicKeyParts;

use super::AlertError;
use crate::config::Dkim;
use crate::privacy::Secret;

/// Receivers take no shorter key, in bytes.
const SHORTEST_RSA: usize = 2048 / 8;
/// Signing takes longer with each bit, and DNS has no room for more.
const LONGEST_RSA: usize = 8192 / 8;
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// What is signed, whether or not a mail has it.
const SIGNED: [&str; 14] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "Sender",
    "In-Reply-To",
    "References",
    "List-Id",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];
const CONTENT_TYPE: &str = "Content-Type";

/// The key of a domain.
pub struct Signer(DkimConfig);

impl Signer {
    /// Reads a private key in PEM: RSA (PKCS #1 or #8) or Ed25519 (PKCS #8).
    pub fn open(dkim: &Dkim, key: &Secret) -> Result<Self, AlertError> {
        let key = signing_key(key.expose()).map_err(|problem| AlertError::DkimKey { problem })?;
        let relaxed = DkimCanonicalization {
            header: DkimCanonicalizationType::Relaxed,
            body: DkimCanonicalizationType::Relaxed,
        };
        let headers = SIGNED.map(HeaderName::new_from_ascii_str).to_vec();
        let (selector, domain) = (dkim.selector.clone(), dkim.domain.clone());
        Ok(Self(DkimConfig::new(
            selector, domain, key, headers, relaxed,
        )))
    }

    /// The bytes of a signed mail of these headers and this one part, given with its own headers
    /// before it. The library signs the headers of a mail and not those of its part, so that these
    /// are made the mail's.
    pub(super) fn signed(
        &self,
        builder: MessageBuilder,
        headers: &Headers,
        part: &[u8],
    ) -> Result<Vec<u8>, AlertError> {
        let end = part.windows(4).position(|four| four == b"\r\n\r\n");
        let body = end.map_or(part, |end| &part[end + 4..]);
        let encoding = headers.get::<ContentTransferEncoding>();
        let encoding = encoding.unwrap_or(ContentTransferEncoding::SevenBit);
        let body = Body::dangerous_pre_encoded(body.to_vec(), encoding);
        let mut message = builder.header(MIME_VERSION_1_0).body(body)?;
        if let Some(value) = headers.get_raw(CONTENT_TYPE) {
            let name = HeaderName::new_from_ascii_str(CONTENT_TYPE);
            let value = HeaderValue::new(name, value.to_owned());
            message.headers_mut().insert_raw(value);
        }
        message.sign(&self.0);
        Ok(message.formatted())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(***)")
    }
}

fn signing_key(pem: &str) -> Result<DkimSigningKey, &'static str> {
    let (label, document) =
        SecretDocument::from_pem(pem).map_err(|_| "is no private key in PEM")?;
    let rsa = match label {
        "RSA PRIVATE KEY" => RsaPrivateKey::from_pkcs1_der(document.as_bytes())
            .map_err(|_| "is no RSA key in PKCS #1")?,
        "PRIVATE KEY" => {
            let key = PrivateKeyInfo::try_from(document.as_bytes())
                .map_err(|_| "is no private key in PKCS #8")?;
            if key.algorithm.oid == ED25519 {
                return ed25519(key.private_key);
            }
            RsaPrivateKey::from_pkcs8_der(document.as_bytes())
                .map_err(|_| "is neither RSA nor Ed25519")?
        }
        "ENCRYPTED PRIVATE KEY" => return Err("is encrypted: there is nobody to ask at night"),
        _ => return Err("is no private key, or one of a kind that DKIM does not know"),
    };
    if rsa.size() < SHORTEST_RSA {
        return Err("is shorter than 2048 bits");
    }
    if rsa.size() > LONGEST_RSA {
        return Err("is longer than 8192 bits");
    }
    let pem = rsa.to_pkcs1_pem(LineEnding::LF);
    let pem = pem.map_err(|_| "cannot be written as PKCS #1")?;
    DkimSigningKey::new(&pem, DkimSigningAlgorithm::Rsa).map_err(|_| "is not usable")
}

/// The seed, which PKCS #8 wraps once more.
fn ed25519(private_key: &[u8]) -> Result<DkimSigningKey, &'static str> {
    let seed = OctetStringRef::from_der(private_key).map_err(|_| "is no Ed25519 key")?;
    let seed = STANDARD.encode(seed.as_bytes());
    DkimSigningKey::new(&seed, DkimSigningAlgorithm::Ed25519).map_err(|_| "is no Ed25519 key")
}

#[cfg(test)]
mod tests;
