//! Real syslog servers over mutual TLS: rsyslog, which keeps what it received byte for byte, and syslog-ng, which says how it
//! understood it. `KEYFOLD_SYSLOG` names the folder that `./dev` unpacks them into.

use crate::tls::Authority;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use tempfile::TempDir;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Writes each message as it came, on a line of its own.
    Rsyslog,
    /// Writes what it understood of each message, as one JSON object a line.
    SyslogNg,
}

/// A server that takes clients of one authority. Dropping it kills it.
#[derive(Debug)]
pub struct SyslogServer {
    program: Program,
    folder: TempDir,
    process: Child,
    port: u16,
}

impl SyslogServer {
    /// A server that listens at `localhost`, shows `server_pem` (certificate and key), and takes clients whose certificate is of
    /// `clients`.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(program: Program, clients: &Authority, server_pem: &str) -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("loopback has a port left").port();
        let file =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("there is room for a file");
        file("ca.pem", clients.pem());
        file("server.pem", server_pem);
        file("config", &program.config(folder.path(), port));
        let process = program.spawn(folder.path());
        let server = Self { program, folder, process, port };
        server.wait_ready();
        server
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has written so far.
    #[must_use]
    pub fn received(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("received")).unwrap_or_default()
    }

    /// The first `count` lines, once there are as many.
    ///
    /// # Panics
    /// When there are fewer after 30 seconds.
    #[must_use]
    pub fn lines(&self, count: usize) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let received = self.received();
            let lines: Vec<_> = received.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            if lines.len() >= count && received.ends_with(b"\n") {
                return lines;
            }
            assert!(Instant::now() < deadline, "{:?} has {} of {count} lines", self.program, lines.len());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets it stand still: it reads nothing until [`SyslogServer::resume`].
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Ends what [`SyslogServer::pause`] began.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it as a crash would: what it had not yet read or written is lost.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.process.kill().expect("it is ours to kill");
        self.process.wait().expect("it was started here");
    }

    /// Starts it again, at the same port, after [`SyslogServer::kill`].
    pub fn restart(&mut self) {
        self.process = self.program.spawn(self.folder.path());
        self.wait_ready();
    }

    /// Has another certificate and key from its next start on.
    ///
    /// # Panics
    /// When there is no room for a file.
    pub fn show(&self, server_pem: &str) {
        fs::write(self.folder.path().join("server.pem"), server_pem).expect("there is room for a file");
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.process);
        kill_process(process, signal).expect("it runs");
    }

    fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "{:?} does not get ready", self.program);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for SyslogServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Program {
    fn config(self, folder: &Path, port: u16) -> String {
        let folder = folder.display();
        match self {
            Self::Rsyslog => format!(
                r#"
global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/server.pem"
  defaultNetstreamDriverKeyFile="{folder}/server.pem")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="raw" type="string" string="%rawmsg%\n")
ruleset(name="received") {{ action(type="omfile" file="{folder}/received" template="raw") }}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="received")
"#
            ),
            Self::SyslogNg => format!(
                r#"@version: 3.38
options {{ stats-freq(0); keep-hostname(yes); log-msg-size(65536); }};
source received {{ syslog(ip("127.0.0.1") port({port}) transport("tls")
  tls(key-file("{folder}/server.pem") cert-file("{folder}/server.pem") ca-file("{folder}/ca.pem")
    peer-verify(required-trusted))); }};
destination file {{ file("{folder}/received"
  template("$(format-json --scope rfc5424 --scope sdata --key R_UNIXTIME --key FACILITY)\n")); }};
log {{ source(received); destination(file); }};
"#
            ),
        }
    }

    fn spawn(self, folder: &Path) -> Child {
        let unpacked = PathBuf::from(env::var_os("KEYFOLD_SYSLOG").expect("KEYFOLD_SYSLOG names the syslog servers"));
        let machine = format!("{}-linux-gnu", env::consts::ARCH);
        let (libraries, modules) = (unpacked.join("usr/lib").join(&machine), unpacked.join("usr/lib/syslog-ng"));
        let mut command = match self {
            Self::Rsyslog => {
                let mut command = Command::new(unpacked.join("usr/sbin/rsyslogd"));
                command.args(["-n", "-f"]).arg(folder.join("config")).arg("-i").arg(folder.join("pid"));
                command.arg("-M").arg(libraries.join("rsyslog"));
                command
            }
            Self::SyslogNg => {
                let mut command = Command::new(unpacked.join("usr/sbin/syslog-ng"));
                command.args(["--foreground", "--no-caps", "--cfgfile"]).arg(folder.join("config"));
                command.arg("--persist-file").arg(folder.join("persist")).arg("--pidfile").arg(folder.join("pid"));
                command.arg("--control").arg(folder.join("control"));
                command.arg("--module-path").arg(modules.join("3.38"));
                command
            }
        };
        let paths =
            env::join_paths([&unpacked.join("lib").join(machine), &libraries, &modules]).expect("no colon is in them");
        command.env("LD_LIBRARY_PATH", paths).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it is unpacked")
    }
}
