use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use rsa::BigUint;
use rsa::pkcs8::EncodePrivateKey;

use super::*;

fn opened(pem: &str) -> Result<Signer, String> {
    let dkim = Dkim {
        domain: "example.com".into(),
        selector: "orgwatch".into(),
        key_file: None,
        at: crate::config::Position { line: 1, column: 1 },
    };
    Signer::open(&dkim, &Secret::new(pem.to_owned())).map_err(|error| error.to_string())
}

#[test]
fn keys_as_openssl_writes_them_are_read() {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let pkcs8 = rsa.serialize_pem();
    let pkcs1 = RsaPrivateKey::from_pkcs8_pem(&pkcs8).unwrap();
    let pkcs1 = pkcs1.to_pkcs1_pem(LineEnding::LF).unwrap();
    assert!(pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519)
        .unwrap()
        .serialize_pem();
    for pem in [&*pkcs8, &pkcs1, &ed25519, &pkcs8.replace('\n', "\r\n")] {
        let signer = opened(pem).unwrap();
        assert_eq!(format!("{signer:?}"), "Signer(***)");
    }
}

#[test]
fn a_key_that_receivers_refuse_is_refused_and_not_shown() {
    // Two primes of Mersenne.
    let prime = |bits: u32| (BigUint::from(1u32) << bits as usize) - 1u32;
    let short = RsaPrivateKey::from_p_q(prime(521), prime(607), 65_537u32.into()).unwrap();
    let short = short.to_pkcs8_pem(LineEnding::LF).unwrap();
    let curve = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let cut = rsa.serialize_pem().replacen("MII", "MI", 1);
    for (pem, told) in [
        (&**short, "shorter than 2048 bits"),
        (&*curve.serialize_pem(), "neither RSA nor Ed25519"),
        (&*cut, "is no private key"),
        ("c2VjcmV0", "is no private key in PEM"),
        (&*rsa.public_key_pem(), "is no private key"),
    ] {
        let error = opened(pem).unwrap_err();
        assert!(error.contains(told) && error.contains("openssl"), "{error}");
        assert!(pem.lines().nth(1).is_none_or(|line| !error.contains(line)));
    }
}
