//! `herald health`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{CommandError, print};

/// The time that the server has to answer. It is longer than herald itself takes, and shorter than those who run
/// health checks wait.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the herald on this address whether it is ready.
pub(super) async fn health(mut address: SocketAddr) -> Result<(), CommandError> {
    // A herald that listens on every address also listens on this one.
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: herald\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let answer = tokio::time::timeout(TIMEOUT, asking)
        .await
        .map_err(|source| CommandError::Silent { address, source })?
        .map_err(|source| CommandError::Unreachable { address, source })?;
    let body = answer.lines().last().unwrap_or_default();
    if answer.starts_with("HTTP/1.1 200 ") {
        print(&format!("{body}\n"))
    } else {
        Err(CommandError::NotReady { reason: body.to_owned() })
    }
}
