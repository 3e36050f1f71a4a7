//! A port for a program that is to listen, which no other harness on this machine gives away
//! meanwhile.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first of the ports; all of them and their guards lie below the ephemeral range, from which
/// ten thousand outgoing connections take theirs.
const FIRST: u16 = 15_000;
const COUNT: u16 = 7_500;

/// A loopback port that is free, and that no other harness chooses until this is dropped.
///
/// The harness cannot bind a port that a program of its own is to bind, so it binds the port's
/// guard: the one [`COUNT`] above it. A port whose guard is taken belongs to another harness's
/// program, which may not have bound it yet, or is being started again. Without the guard two
/// harnesses could choose one port, and one would take the other's program for its own.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _guard: TcpListener,
}

impl Port {
    /// Chooses a port.
    ///
    /// # Errors
    /// None is free.
    pub fn reserve() -> io::Result<Port> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Processes start at different places, so that they seldom look at the same port at once.
        let process = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
        Port::reserve_from(process.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    fn reserve_from(start: u16) -> io::Result<Port> {
        let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
        for step in 0..COUNT {
            let number = FIRST + (start % COUNT + step) % COUNT;
            let guard = listen(number + COUNT).and_then(|guard| {
                listen(number)?;
                Ok(guard)
            });
            match guard {
                Ok(_guard) => return Ok(Port { number, _guard }),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Where the program is to listen.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_that_look_at_the_same_port_get_different_ones() {
        let first = Port::reserve_from(700).unwrap();
        // Nothing listens on the first one's port yet.
        let second = Port::reserve_from(first.number - FIRST).unwrap();
        assert_ne!(first.number, second.number);
    }

    #[test]
    fn a_port_that_is_listened_on_is_passed_over() {
        let port = Port::reserve_from(900).unwrap();
        let (number, listening) = (port.number, listen(port.number).unwrap());
        drop(port);
        assert_ne!(Port::reserve_from(number - FIRST).unwrap().number, number);
        drop(listening);
    }
}
