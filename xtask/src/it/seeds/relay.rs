//! The router of a cloud: hands connections to an external address on to a machine's own, so that a machine which calls
//! itself by its external address meets itself as a stranger (S1-18). Runs as a program of a machine.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

/// Serves `outside:port` for each port by connecting to `inside:port`; does not return.
pub fn serve(outside: &str, inside: &str, ports: &[&str]) -> Result<()> {
    let mut served = Vec::new();
    for port in ports {
        let listener = TcpListener::bind(format!("{outside}:{port}")).with_context(|| (*port).to_owned())?;
        let to = format!("{inside}:{port}");
        served.push(thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // Nobody there: the caller's connection ends at once, as a refused one.
                let Ok(far) = TcpStream::connect(&to) else { continue };
                let _ = join(near, far);
            }
        }));
    }
    println!("relaying");
    for one in served {
        let _ = one.join();
    }
    Ok(())
}

fn join(near: TcpStream, far: TcpStream) -> io::Result<()> {
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let (near_back, far_back) = (near.try_clone()?, far.try_clone()?);
    thread::spawn(move || pump(near, far));
    thread::spawn(move || pump(far_back, near_back));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(n) = from.read(&mut bytes) {
        if n == 0 || to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
