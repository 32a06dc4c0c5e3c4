//! The `annals` binary.

fn main() -> std::process::ExitCode {
    annals::command::main()
}
