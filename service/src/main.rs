//! The `offshoot` binary.

/// Keeps little of what a burst took: the system's own allocator held some 20 MiB after the first hundred branches.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Unoptimised, the frames of a job's nested futures come near to a thread's usual 2 MiB. Only what is used of it costs memory.
const STACK_BYTES: usize = 8 * 1024 * 1024;

fn main() -> std::io::Result<std::process::ExitCode> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().thread_stack_size(STACK_BYTES).build()?;
    Ok(runtime.block_on(offshoot::cli::run()))
}
