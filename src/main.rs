//! The `orgwatch` program. Everything is in the library; see [`orgwatch::cli`].

use std::process::ExitCode;

/// Batches of many short-lived buffers on several threads are what this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    orgwatch::cli::main(std::env::args_os()).into()
}

/// With pages of two megabytes whatever the allocator has touched of one stays whole, and a detect
/// over months holds half as much again for no gain in speed. A kernel that does not know how does
/// nothing worse than before.
#[cfg(target_os = "linux")]
fn keep_pages_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn keep_pages_small() {}
