use super::{Failure, Fault};
use crate::export::resource;
use crate::tile;
use aws_lc_rs::digest::{Context, SHA256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// No file that is read whole is larger: a bundle holds 256 leaves of at most 16 KiB.
const MAX_FILE: u64 = 5 * 1024 * 1024;

/// No line is longer: a leaf, and ten texts of at most 1 KiB twice over, all escaped.
const MAX_LINE: u64 = 256 * 1024;

/// The files of an export, read with bounds: whoever made them is not trusted.
pub(super) struct Files<'a> {
    dir: &'a Path,
}

impl<'a> Files<'a> {
    pub(super) fn new(dir: &'a Path) -> Self {
        Self { dir }
    }

    pub(super) fn text(&self, name: &str) -> Result<String, Failure> {
        let bytes = self.read(name).map_err(|source| self.unreadable(name, source))?;
        String::from_utf8(bytes).map_err(|_| self.unreadable(name, ErrorKind::InvalidData.into()))
    }

    /// A tile or bundle; empty when there is none.
    pub(super) fn resource(&self, path: tile::Path) -> Result<Vec<u8>, Failure> {
        let name = resource(path);
        match self.read(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|source| self.unreadable(&name, source)),
        }
    }

    pub(super) fn lines(&self, name: &str) -> Result<Lines, Failure> {
        let path = self.dir.join(name);
        match File::open(&path) {
            Ok(file) => Ok(Lines { path, file: BufReader::new(file) }),
            Err(source) => Err(Fault::Unreadable { path, source }.into()),
        }
    }

    /// SHA-256 of a file of any length.
    pub(super) fn sha256(&self, name: &str) -> Result<[u8; 32], Failure> {
        let mut hash = Context::new(&SHA256);
        let mut chunk = [0; 64 * 1024];
        let unreadable = |source| self.unreadable(name, source);
        let mut file = File::open(self.dir.join(name)).map_err(unreadable)?;
        loop {
            match file.read(&mut chunk).map_err(unreadable)? {
                0 => break,
                read => hash.update(&chunk[..read]),
            }
        }
        Ok(hash.finish().as_ref().try_into().expect("invariant: SHA-256 gives 32 bytes"))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.dir.join(name))?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn unreadable(&self, name: &str, source: io::Error) -> Failure {
        Fault::Unreadable { path: self.dir.join(name), source }.into()
    }
}

pub(super) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
}

impl Lines {
    /// The next line with its newline; empty at the end, cut when longer than any may be.
    pub(super) fn next(&mut self) -> Result<Vec<u8>, Failure> {
        let mut line = Vec::new();
        let read = self.file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        read.map_err(|source| Fault::Unreadable { path: self.path.clone(), source })?;
        Ok(line)
    }
}
