//! The worker of the PKCS#11 room alone, for the tests of this package. `keyfold pkcs11-worker` is the same.

fn main() -> std::io::Result<()> {
    keyfold_providers::pkcs11::worker::run()
}
