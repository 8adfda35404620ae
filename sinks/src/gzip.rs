use flate2::{Compression, GzBuilder};
use std::io::{self, Write};

/// `bytes` as one member (RFC 1952) without time and name in its header: the same bytes give the same member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let compress = || -> io::Result<Vec<u8>> {
        let mut member = GzBuilder::new().write(Vec::new(), Compression::default());
        member.write_all(bytes)?;
        member.finish()
    };
    compress().expect("invariant: memory takes what is written to it")
}
