//! Signatures beside what is given away, as Apache Kafka's releases have them: `NAME.asc`, checked with `gpg --verify`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;

const LIMIT: Duration = Duration::from_secs(120);

/// A key of gpg's.
pub struct Signer {
    key: String,
    /// Where gpg keeps it, if not where it keeps this user's.
    home: Option<PathBuf>,
}

impl Signer {
    /// A key of this user's, by its id or mail address.
    pub fn of(key: &str) -> Signer {
        Signer { key: key.to_owned(), home: None }
    }

    /// A key made for the occasion in an empty directory: it vouches for nothing, and shows that signing works.
    pub fn throwaway(home: &Path) -> Result<Signer> {
        let signer = Signer { key: "judge@localhost".to_owned(), home: Some(home.to_owned()) };
        let words = ["--passphrase", "", "--quick-generate-key", &signer.key, "default", "default", "never"];
        process::checked(signer.gpg().args(words), LIMIT).context("a key (gpg, of gnupg)")?;
        Ok(signer)
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        if let Some(home) = &self.home {
            gpg.env("GNUPGHOME", home);
        }
        gpg.args(["--batch", "--yes", "--pinentry-mode", "loopback"]);
        gpg
    }

    /// Writes `FILE.asc`.
    pub fn sign(&self, file: &Path) -> Result<()> {
        let signature = format!("{}.asc", file.display());
        let mut gpg = self.gpg();
        gpg.args(["--local-user", &self.key, "--armor", "--output", &signature, "--detach-sign"]).arg(file);
        process::checked(&mut gpg, LIMIT).with_context(|| format!("signing with the key {}", self.key))?;
        Ok(())
    }
}
