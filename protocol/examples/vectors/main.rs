//! Writes the test vectors: `cargo run -p keyfold-protocol --example vectors`.

mod made;

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    fs::create_dir_all(&folder)?;
    for (name, text) in made::files() {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
