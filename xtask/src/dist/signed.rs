//! Signatures beside what is given away, as Apache Kafka's releases have them: `NAME.asc`, checked with `gpg --verify`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
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

    /// A key made for the occasion, in `home` and nothing else there: it vouches for nothing, and shows that signing works.
    pub fn throwaway(home: &Path) -> Result<Signer> {
        let signer = Signer { key: "judge@localhost".to_owned(), home: Some(home.to_owned()) };
        if home.exists() {
            // The agent of the key before would still listen there for a while, and then go away in the middle of this one's.
            let mut agent = Command::new("gpgconf");
            agent.env("GNUPGHOME", home).args(["--kill", "gpg-agent"]);
            process::checked(&mut agent, LIMIT).context("gpgconf, of gnupg")?;
            fs::remove_dir_all(home).with_context(|| home.display().to_string())?;
        }
        fs::create_dir_all(home)?;
        fs::set_permissions(home, fs::Permissions::from_mode(0o700))?;
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
