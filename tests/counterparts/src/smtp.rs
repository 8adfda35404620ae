//! A real SMTP server, aiosmtpd, in a process and on a port of its own; it notes how Python reads each mail.

#![expect(clippy::panic, reason = "a test without its server fails")]

use crate::tls::Authority;
use serde_json::Value;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

/// The password that it takes mails with, from the user `keyfold`.
pub const PASSWORD: &str = "the password of the mail server";

/// How it is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS first.
    StartTls,
    /// In clear, without a password.
    Plaintext,
    /// STARTTLS, with answers of somebody else before it; takes no mail.
    Injecting,
}

impl Speech {
    fn word(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
            Self::Plaintext => "plaintext",
            Self::Injecting => "injecting",
        }
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Smtp {
    speech: Speech,
    process: Option<Child>,
    authority: Authority,
    folder: TempDir,
}

impl Smtp {
    /// Starts one.
    ///
    /// # Panics
    /// When there is none: name the environment of the oracles in `KEYFOLD_ORACLES`.
    pub async fn start(speech: Speech) -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        let authority = Authority::new();
        fs::write(folder.path().join("server.pem"), authority.server_pem(None)).expect("there is room for a file");
        fs::write(folder.path().join("password"), PASSWORD).expect("there is room for a file");
        let mut server = Self { speech, process: None, authority, folder };
        server.resume().await;
        server
    }

    /// Starts it again where it was, with what it has taken.
    ///
    /// # Panics
    /// When it does not get ready.
    pub async fn resume(&mut self) {
        let python = PathBuf::from(
            env::var_os("KEYFOLD_ORACLES").unwrap_or_else(|| panic!("KEYFOLD_ORACLES is not set; ./dev test sets it")),
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("smtp/server.py");
        let mut command = Command::new(python.join("bin/python"));
        command.arg(script).arg(self.folder.path()).arg(self.speech.word());
        let errors = self.folder.path().join("errors");
        let file = File::create(&errors).expect("there is room for a file");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(file);
        self.process = Some(command.spawn().unwrap_or_else(|error| panic!("aiosmtpd: {error}")));
        let ready = self.folder.path().join("ready");
        for _ in 0..600 {
            if fs::remove_file(&ready).is_ok() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the SMTP server does not get ready: {}", fs::read_to_string(errors).unwrap_or_default());
    }

    /// Ends it; nobody listens where it was.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // An error means that it has ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Where it listens on loopback.
    ///
    /// # Panics
    /// Never: a server that was ready has written its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let text = fs::read_to_string(self.folder.path().join("port")).expect("a server has a port");
        text.parse().expect("a port is a number")
    }

    /// The authority of its certificate, which is for `localhost`.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The mails that it has taken: `from`, `to`, `tls`, `login`, `headers`, `text`, `multipart`, `defects` and `raw`.
    ///
    /// # Panics
    /// Never: it writes whole lines of JSON.
    #[must_use]
    pub fn taken(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// The same, as soon as there are `count`.
    ///
    /// # Panics
    /// When there are fewer, for half a minute.
    pub async fn taken_at_least(&self, count: usize) -> Vec<Value> {
        for _ in 0..600 {
            let taken = self.taken();
            if taken.len() >= count {
                return taken;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the server has taken {} mails, not {count}", self.taken().len());
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.stop();
    }
}
