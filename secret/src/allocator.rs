//! Wipes memory when it is freed.

use std::alloc::{GlobalAlloc, Layout, System};
use zeroize::optimization_barrier;

/// The system's allocator, with every block overwritten before it is given back.
///
/// Requests, headers and plaintexts of TLS pass through buffers of libraries that know nothing of secrets. With this as
/// the global allocator no copy in them outlives its buffer, be it a token, an enrolment code or key material.
#[derive(Debug)]
pub struct Wiping;

#[expect(unsafe_code, reason = "only a global allocator sees the memory that other crates free")]
// SAFETY: allocation is the system allocator's own, with the layouts it is given. A block that grows is copied by the
// trait's own `realloc`, which frees the old one through `dealloc`.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises of `GlobalAlloc::alloc`, which are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's until it is given back, and has the layout's size.
        unsafe {
            block.write_bytes(0, layout.size());
            optimization_barrier(&*block);
            System.dealloc(block, layout);
        }
    }
}
