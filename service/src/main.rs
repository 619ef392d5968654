//! The `offshoot` binary.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    offshoot::cli::run().await
}
