//! HTTPS, with an authority that was made for these tests and a certificate of its for `localhost` and 127.0.0.1; both
//! are good until 2120. What the key in `tls/` protects is this test alone.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::{Client, Fault, Trust};
use super::success;
use crate::request::Pairs;

const AUTHORITY: &[u8] = include_bytes!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/leaf.pem");
const KEY: &[u8] = include_bytes!("tls/leaf.key");

/// Answers one request; tells whether the client spoke to the end.
fn server() -> (u16, thread::JoinHandle<bool>) {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
        let mut got = Vec::new();
        while !got.ends_with(b"action=GetPid") {
            let mut piece = [0; 1024];
            match stream.read(&mut piece) {
                Ok(count) if count > 0 => got.extend_from_slice(&piece[..count]),
                _ => return false,
            }
        }
        stream.write_all(success("<autn:pid>7</autn:pid>").as_bytes()).is_ok()
    });
    (port, served)
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_by_no_other() {
    for host in ["127.0.0.1", "localhost"] {
        let (port, served) = server();
        let builder = Client::builder(host, port).https(Trust::Only(AUTHORITY.to_vec()));
        let reply = builder.build().unwrap().send("GetPid", Pairs::default()).await.unwrap();
        assert_eq!(reply.data[0].name, "autn:pid");
        assert!(served.join().unwrap());
    }
    for trust in [Some(Trust::Only(CERTIFICATE.to_vec())), Some(Trust::System), None] {
        let (port, served) = server();
        let is_plain = trust.is_none();
        let builder = Client::builder("127.0.0.1", port);
        let builder = match trust {
            Some(trust) => builder.https(trust),
            None => builder,
        };
        let Ok(client) = builder.build() else {
            // A system without any certificates trusts nobody from the start.
            drop(std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
            continue;
        };
        let error = client.send("GetPid", Pairs::default()).await.unwrap_err();
        // What speaks no TLS is connected, and only then not understood.
        let is_misread = is_plain && matches!(error.fault, Fault::Unreachable(_));
        assert!(is_misread || matches!(error.fault, Fault::NotConnected(_)), "{error}");
        assert!(!served.join().unwrap());
    }
}
