//! The `orgwatch` program. Everything is in the library; see [`orgwatch::cli`].

use std::process::ExitCode;

/// Batches of many short-lived buffers on several threads are what this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    orgwatch::cli::main(std::env::args_os()).into()
}
