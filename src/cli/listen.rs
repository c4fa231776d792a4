//! The sockets of a port: one for each address on which the server listens, all with the same port.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener};

use socket2::SockRef;
use tokio::net::TcpSocket;

use crate::config::Settings;
use crate::http::server::Listener;

/// Number of connections that may wait to be accepted: the system's default of 128 makes a burst of clients wait for seconds.
const BACKLOG: u32 = 4096;

/// How often another free port is tried, where the first address got one that another address has in use.
const TRIES: usize = 16;

/// An address on which the server can't listen.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {error}")]
pub(super) struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

/// A port, at all of its addresses.
#[derive(Debug)]
pub(super) struct ListeningPort {
    pub(super) listener: Listener,
    pub(super) port: u16,
    /// In the order in which they were asked for; never empty.
    pub(super) addresses: Vec<SocketAddr>,
}

impl ListeningPort {
    /// Makes another one with the same sockets: who connects is served by whichever accepts first.
    fn try_clone(&self) -> io::Result<Self> {
        let Self { listener, port, addresses } = self;
        Ok(Self { listener: listener.try_clone()?, port: *port, addresses: addresses.clone() })
    }
}

/// The ports on which the server listens.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) aci: ListeningPort,
    pub(super) service: Option<ListeningPort>,
}

impl Ports {
    /// Listens as the configuration says.
    pub(super) fn listen(settings: &Settings) -> Result<Self, ListenError> {
        let addresses = &settings.server.bind_addresses;
        let aci = listen(addresses, settings.server.port)?;
        let service = settings.service.port.map(|port| listen(addresses, port)).transpose()?;
        Ok(Self { aci, service })
    }

    /// Makes others with the same sockets, which stay open when these are closed.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let service = self.service.as_ref().map(ListeningPort::try_clone).transpose()?;
        Ok(Self { aci: self.aci.try_clone()?, service })
    }
}

/// Listens on a port at each of these addresses, of which there must be one; with port 0 on any one that is free at all of them. An
/// IPv6 loopback address that the machine does not have is left out, with a line of the log, unless it is the only one.
fn listen(addresses: &[IpAddr], port: u16) -> Result<ListeningPort, ListenError> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_once(addresses, port) {
            // Somebody has this port at another of the addresses, or has just got it.
            Err(error) if tries > 0 && error.error.kind() == ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
}

fn listen_once(addresses: &[IpAddr], port: u16) -> Result<ListeningPort, ListenError> {
    // Else a socket at :: would take the port of IPv4, too.
    let has_ipv4 = addresses.iter().any(IpAddr::is_ipv4);
    let mut listening: Option<ListeningPort> = None;
    let mut left_out = None;
    for ip in addresses {
        let port = listening.as_ref().map_or(port, |listening| listening.port);
        let address = SocketAddr::new(*ip, port);
        let bound = bind(address, has_ipv4).and_then(|socket| Ok((socket.local_addr()?, socket)));
        match bound {
            Ok((address, socket)) => {
                listening = Some(match listening {
                    None => {
                        let (port, addresses) = (address.port(), vec![address]);
                        ListeningPort { listener: socket.into(), port, addresses }
                    }
                    Some(ListeningPort { listener, port, mut addresses }) => {
                        addresses.push(address);
                        ListeningPort { listener: listener.also(socket), port, addresses }
                    }
                });
            }
            Err(error) if ip.is_ipv6() && ip.is_loopback() && is_absent(&error) => {
                left_out = Some(ListenError { address, error });
            }
            Err(error) => return Err(ListenError { address, error }),
        }
    }
    match (listening, left_out) {
        (Some(listening), left_out) => {
            if let Some(ListenError { address, error }) = left_out {
                log::info!(
                    "this machine has no {}, so nothing listens there: {error}",
                    address.ip()
                );
            }
            Ok(listening)
        }
        (None, Some(error)) => Err(error),
        (None, None) => {
            let address = SocketAddr::from(([0, 0, 0, 0], port));
            let error = io::Error::new(ErrorKind::InvalidInput, "no address is given");
            Err(ListenError { address, error })
        }
    }
}

/// Tells whether an error says that the machine does not have an address, or no IPv6 at all.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        // No address family of that kind (EAFNOSUPPORT), which has no kind of its own.
        || error.raw_os_error().is_some_and(|code| code == NO_FAMILY)
}

#[cfg(unix)]
const NO_FAMILY: i32 = libc::EAFNOSUPPORT;
/// WSAEAFNOSUPPORT.
#[cfg(not(unix))]
const NO_FAMILY: i32 = 10_047;

/// Listens as `TcpListener::bind` of the standard library does, with a larger backlog.
fn bind(address: SocketAddr, beside_ipv4: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a server can be started again at once. Elsewhere than on Unix this would let two in.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() && beside_ipv4 {
        SockRef::from(&socket).set_only_v6(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn has_ipv6() -> bool {
        TcpListener::bind((V6, 0)).is_ok()
    }

    #[tokio::test]
    async fn all_addresses_have_the_same_port() {
        let got = listen(&[V4, V6], 0).unwrap();
        let want = if has_ipv6() { vec![V4, V6] } else { vec![V4] };
        let (ips, ports): (Vec<_>, Vec<_>) =
            got.addresses.iter().map(|address| (address.ip(), address.port())).unzip();
        assert_eq!(ips, want);
        assert!(got.port > 0 && ports.iter().all(|port| *port == got.port), "{ports:?}");
        for address in &got.addresses {
            TcpStream::connect(address).unwrap();
        }
        let taken = listen(&[V4, V6], got.port).unwrap_err();
        assert!(
            taken.to_string().starts_with(&format!("can't listen on 127.0.0.1:{}: ", got.port))
        );
    }

    #[tokio::test]
    async fn an_address_that_the_machine_lacks_is_an_error_unless_it_is_the_loopback_of_ipv6() {
        // TEST-NET-1 is nobody's.
        let absent: IpAddr = "192.0.2.1".parse().unwrap();
        let error = listen(&[V4, absent], 0).unwrap_err().to_string();
        assert!(error.starts_with("can't listen on 192.0.2.1:"), "{error}");
        assert!(listen(&[], 0).unwrap_err().to_string().ends_with("no address is given"));
        let lacks = |code| is_absent(&io::Error::from_raw_os_error(code));
        #[cfg(unix)]
        assert!(
            lacks(libc::EAFNOSUPPORT) && lacks(libc::EADDRNOTAVAIL) && !lacks(libc::EADDRINUSE)
        );
    }

    #[tokio::test]
    async fn all_addresses_of_both_families_can_be_listened_on_together() {
        if !has_ipv6() {
            return;
        }
        let all = ["0.0.0.0".parse().unwrap(), "::".parse().unwrap()];
        let got = listen(&all, 0).unwrap();
        assert_eq!(got.addresses.len(), 2);
        // Alone, :: takes both.
        let got = listen(&all[1..], 0).unwrap();
        TcpStream::connect((V4, got.port)).unwrap();
    }
}
