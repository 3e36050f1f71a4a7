//! Where the server is, and a connection to it or from the target: TCP or a Unix socket.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// The address of a PostgreSQL server; a host's name is resolved anew for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// The socket's own path, not its directory's.
    Unix(PathBuf),
}

impl Address {
    /// The address that these options lead to: their socket if they name one, else host and port.
    pub fn of(options: &PgConnectOptions) -> Self {
        let host = options.get_host();
        match options.get_socket() {
            Some(directory) => Self::in_directory(directory, options.get_port()),
            None if host.starts_with('/') => Self::in_directory(host.as_ref(), options.get_port()),
            None => Self::Tcp(host.to_owned(), options.get_port()),
        }
    }

    /// The address in a connection URL.
    ///
    /// # Errors
    /// If it is not a URL that sqlx understands.
    pub fn of_url(url: &str) -> Result<Self, sqlx::Error> {
        PgConnectOptions::from_str(url).map(|options| Self::of(&options))
    }

    fn in_directory(directory: &Path, port: u16) -> Self {
        Self::Unix(directory.join(format!(".s.PGSQL.{port}")))
    }

    /// Opens a connection, without delay for small packets.
    ///
    /// # Errors
    /// As the system gives them.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(host, port) => Stream::tcp(TcpStream::connect((host.as_str(), *port)).await?),
            Self::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_where_the_url_names_one() {
        let of = |url| Address::of_url(url).unwrap();
        assert_eq!(
            of("postgres://u@db:5433/d"),
            Address::Tcp("db".into(), 5433)
        );
        let socket = Address::Unix("/run/pg/.s.PGSQL.5433".into());
        assert_eq!(of("postgres://u@%2Frun%2Fpg:5433/d"), socket);
        assert_eq!(of("postgres://u@localhost:5433/d?host=/run/pg"), socket);
    }
}
