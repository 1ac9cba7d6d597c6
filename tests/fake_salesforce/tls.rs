//! The same org through TLS: with a certificate of its own authority, with the demand for the
//! client's, and with the faults that a certificate or a protocol can have.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::journal::Listener;
use super::keys;
use super::server::{Shared, Socket, speak};

pub const CA: &str = "ca.crt";
pub const CLIENT_KEY: &str = "client.key";
pub const CLIENT_CERTIFICATE: &str = "client.crt";
pub const STRANGER_KEY: &str = "stranger.key";
pub const STRANGER_CERTIFICATE: &str = "stranger.crt";

/// What a TLS listener shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A good certificate for localhost and 127.0.0.1.
    Good,
    /// As good, and it wants the client's.
    GoodWithClient,
    /// From an authority that nobody was told of.
    UnknownAuthority,
    Expired,
    OtherHost,
    /// It knows TLS 1.1 and no newer one.
    Tls11,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// The org's, whose certificate clients are given.
fn ours() -> &'static Authority {
    static OURS: OnceLock<Authority> = OnceLock::new();
    OURS.get_or_init(|| authority("Fake org's authority"))
}

fn strangers() -> &'static Authority {
    static STRANGERS: OnceLock<Authority> = OnceLock::new();
    STRANGERS.get_or_init(|| authority("Strange authority"))
}

pub fn ca_pem() -> String {
    ours().pem()
}

/// Writes the authority's certificate, and client certificates of it and of a stranger.
pub fn write_client_files(folder: &Path) {
    let write = |name: &str, text: String| {
        std::fs::write(folder.join(name), text).expect("a certificate file");
    };
    write(CA, ca_pem());
    for (authority, key_file, certificate_file) in [
        (ours(), CLIENT_KEY, CLIENT_CERTIFICATE),
        (strangers(), STRANGER_KEY, STRANGER_CERTIFICATE),
    ] {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params
            .distinguished_name
            .push(DnType::CommonName, "orgwatch");
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ClientAuth);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, authority).expect("a certificate");
        keys::write_secret(&folder.join(key_file), &key.serialize_pem());
        write(certificate_file, certificate.pem());
    }
}

fn config(shown: Shown) -> rustls::ServerConfig {
    let (authority, host) = match shown {
        Shown::UnknownAuthority => (strangers(), "localhost"),
        Shown::OtherHost => (ours(), "other.example.com"),
        _ => (ours(), "localhost"),
    };
    let mut names = vec![host.to_owned()];
    if shown != Shown::OtherHost {
        names.push("127.0.0.1".to_owned());
    }
    let mut params = CertificateParams::new(names).expect("names");
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    if shown == Shown::Expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match shown {
        Shown::GoodWithClient => {
            let mut roots = RootCertStore::empty();
            roots.add(ours().der().clone()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .expect("a key that fits");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Takes connections until the runtime ends.
pub async fn serve(socket: TcpListener, shown: Shown, listener: Listener, state: Shared) {
    let acceptor = TlsAcceptor::from(Arc::new(config(shown)));
    while let Ok((stream, _)) = socket.accept().await {
        let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            if shown == Shown::Tls11 {
                return too_old(stream).await;
            }
            let (socket, reset) = Socket::new(stream);
            // A handshake that fails is the client's to tell.
            let Ok(stream) = acceptor.accept(socket).await else {
                return;
            };
            let chain = stream.get_ref().1.peer_certificates();
            let client = chain
                .and_then(|chain| chain.first())
                .map(|leaf| subject(leaf));
            speak(stream, reset, listener, client, state).await;
        });
    }
}

fn subject(certificate: &CertificateDer<'_>) -> String {
    match x509_parser::parse_x509_certificate(certificate) {
        Ok((_, certificate)) => certificate.subject().to_string(),
        Err(_) => "unreadable".to_owned(),
    }
}

/// Answers any greeting with a hello of TLS 1.1: version, randomness, no session, a cipher.
async fn too_old(mut stream: TcpStream) {
    let mut greeting = [0u8; 4096];
    let _ = stream.read(&mut greeting).await;
    let mut hello = vec![0x03, 0x02];
    hello.extend([7u8; 32]);
    hello.extend([0, 0x00, 0x2f, 0]);
    let mut message = vec![2, 0, 0, hello.len() as u8];
    message.extend(&hello);
    let mut record = vec![22, 0x03, 0x02, 0, message.len() as u8];
    record.extend(&message);
    let _ = stream.write_all(&record).await;
    // The client says what it thinks of that.
    let _ = stream.read(&mut greeting).await;
}
