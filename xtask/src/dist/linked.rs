//! Our program without shared libraries: linked with musl, so that neither the C library of the machine nor its age matters.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::machine;
use crate::process;
use crate::server;

/// Builds it and says where it is.
pub fn build() -> Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    ensure!(
        machine::on_path("musl-gcc").is_some(),
        "dist --static: the C parts (zstd, mimalloc) need musl's compiler\n    next: apt-get install musl-tools"
    );
    has_library(&target)?;
    server::build_for(Some(&target))?;
    let program = process::target().join(&target).join(server::profile()).join("ottla");
    ensure!(program.exists(), "{} was not built", program.display());
    Ok(program)
}

/// Rust's own library for `target`; rustup fetches it where it is missing.
fn has_library(target: &str) -> Result<()> {
    let limit = Duration::from_secs(300);
    let place = process::checked(
        Command::new("rustc").args(["--print", "target-libdir", "--target", target]),
        limit,
    )?;
    if PathBuf::from(place.trim()).exists() {
        return Ok(());
    }
    process::checked(Command::new("rustup").args(["target", "add", target]), limit).map(drop).with_context(
        || format!("dist --static needs Rust's library for {target}\n    next: rustup target add {target}"),
    )
}
