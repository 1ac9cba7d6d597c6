//! Keys and certificates of the integration, made once per process.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};

use super::scenario::CLIENT_SECRET;

pub const JWT_KEY: &str = "jwt.key";
pub const JWT_CERTIFICATE: &str = "jwt.crt";
pub const SECRET: &str = "client.secret";

struct JwtKey {
    key: String,
    public: String,
    certificate: String,
}

fn jwt() -> &'static JwtKey {
    static KEY: OnceLock<JwtKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("an RSA key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params
            .distinguished_name
            .push(DnType::CommonName, "orgwatch");
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2035, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        JwtKey {
            public: key.public_key_pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    })
}

/// RSA, PKCS#8.
pub fn jwt_key_pem() -> &'static str {
    &jwt().key
}

pub fn jwt_certificate_pem() -> &'static str {
    &jwt().certificate
}

/// What the org knows of the key.
pub fn jwt_public_pem() -> &'static str {
    &jwt().public
}

/// The files that a client is configured with.
pub fn write_client_files(folder: &Path) {
    write_secret(&folder.join(JWT_KEY), jwt_key_pem());
    write_secret(&folder.join(SECRET), CLIENT_SECRET);
    fs::write(folder.join(JWT_CERTIFICATE), jwt_certificate_pem()).expect("a certificate file");
}

/// A file that only its owner may read.
pub fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("a file for a secret");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(path, private).expect("a mode");
    }
}
