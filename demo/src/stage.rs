//! Where the story plays: `target/demo`, and the program that it shows.

use crate::error::Error;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

const FOLDER: &str = "target/demo";
const PROGRAM: &str = "target/debug/keyfold";

/// The program, and the folder in which its commands run.
pub(crate) struct Stage {
    program: PathBuf,
    folder: PathBuf,
}

impl Stage {
    /// An empty `target/demo` below the working directory: what an earlier run left is removed. The program is that of the
    /// environment variable `KEYFOLD_BIN`, else the one that Cargo builds.
    pub(crate) fn set() -> Result<Self, Error> {
        let program = PathBuf::from(env::var_os("KEYFOLD_BIN").unwrap_or(OsString::from(PROGRAM)));
        let program = fs::canonicalize(&program).map_err(|source| Error::NoProgram { program, source })?;
        let folder = Path::new(FOLDER);
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(folder)(error)),
            _removed_or_absent => {}
        }
        fs::create_dir_all(folder).map_err(file(folder))?;
        let folder = fs::canonicalize(folder).map_err(file(folder))?;
        Ok(Self { program, folder })
    }

    /// A file of the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a folder that only its owner may enter.
    pub(crate) fn make_folder(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(file(&path))
    }

    /// Removes a folder with all that is in it.
    pub(crate) fn remove_folder(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        fs::remove_dir_all(&path).map_err(file(&path))
    }

    /// Writes a new file that only its owner may read.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|mut new| new.write_all(bytes)).map_err(file(&path))
    }

    /// Writes at the end of a file that is there.
    pub(crate) fn append(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(name);
        let opened = fs::OpenOptions::new().append(true).open(&path);
        opened.and_then(|mut end| end.write_all(bytes)).map_err(file(&path))
    }

    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> Result<String, Error> {
        let path = self.path(name);
        fs::read_to_string(&path).map_err(file(&path))
    }

    /// Runs `keyfold` in the folder with the words of `command`, none of which has a space; gives what it printed.
    pub(crate) async fn run(&self, command: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let Output { status, stdout, stderr } = self.output(command).await?;
        let printed = Zeroizing::new(stdout);
        if status.success() {
            Ok(printed)
        } else {
            Err(Error::Command { command: command.into(), status, said: said(&stderr) })
        }
    }

    /// Runs `keyfold` as [`Self::run`] does; it must fail in order, and say `reason`.
    pub(crate) async fn run_refused(&self, command: &str, reason: &'static str) -> Result<(), Error> {
        let Output { status, stderr, .. } = self.output(command).await?;
        let said = said(&stderr);
        if status.code() == Some(1) && said.contains(reason) {
            Ok(())
        } else {
            Err(Error::NotRefused { command: command.into(), status, reason, said })
        }
    }

    /// Starts `keyfold serve`, which logs to the first of the files and prints to the second. It dies with the value that is
    /// given.
    pub(crate) fn spawn(&self, command: &str, files: [&str; 2]) -> Result<Child, Error> {
        let [log, printed] = files.map(|name| {
            let path = self.path(name);
            fs::File::create_new(&path).map_err(file(&path))
        });
        self.command(command).stdout(printed?).stderr(log?).spawn().map_err(self.no_program())
    }

    async fn output(&self, command: &str) -> Result<Output, Error> {
        self.command(command).output().await.map_err(self.no_program())
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words.split(' ')).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn no_program(&self) -> impl FnOnce(io::Error) -> Error {
        |source| Error::NoProgram { program: self.program.clone(), source }
    }
}

/// An error of the file system that names the file.
pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Error {
    |source| Error::File { path: path.into(), source }
}

fn said(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim_end().to_owned()
}
