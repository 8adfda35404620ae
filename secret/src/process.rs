//! Keeps the pages of the process out of swap and out of core dumps.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// What the system granted; what is `false` belongs into a warning at start.
#[derive(Debug, Clone, Copy)]
pub struct Hardening {
    /// Pages stay in memory: nothing secret is swapped to disk.
    pub locked: bool,
    /// The kernel writes no core dump of this process and refuses foreign debuggers without privilege.
    pub undumpable: bool,
}

/// Locks all present and future pages and forbids core dumps, as far as the system allows.
///
/// Process-wide rather than page by page: libraries keep copies on their stacks that no type of ours can see.
#[must_use]
pub fn harden_process() -> Hardening {
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).is_ok();
    let no_dump = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    let locked = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).is_ok();
    Hardening { locked, undumpable: no_core && no_dump }
}
