//! What a service manager is told (`Type=notify` of systemd): that the node serves, and that it stops.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::warn;

/// The node serves.
pub(crate) const READY: &str = "READY=1";
/// It was told to stop and does.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Says `state` to whoever started this process, if that one listens (`NOTIFY_SOCKET`).
pub(crate) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return };
    if let Err(error) = send(socket.as_bytes(), state) {
        warn!(
            "cannot tell the service manager {state}: {error} (NOTIFY_SOCKET={})",
            socket.to_string_lossy()
        );
    }
}

/// A name that begins with `@` is one of the abstract name space.
fn send(name: &[u8], state: &str) -> io::Result<()> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    let sent = UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    if sent == state.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_names_are_reached() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let abstract_name = format!("ottla-notify-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
        let sockets = [
            (path.to_str().expect("UTF-8").to_owned(), UnixDatagram::bind(&path).expect("bound")),
            (format!("@{abstract_name}"), UnixDatagram::bind_addr(&abstract_address).expect("bound")),
        ];
        for (name, socket) in sockets {
            send(name.as_bytes(), READY).expect("sent");
            let mut heard = [0; 64];
            let length = socket.recv(&mut heard).expect("heard");
            assert_eq!(&heard[..length], READY.as_bytes());
        }
        assert!(send(b"/nobody/listens/here", READY).is_err());
    }
}
