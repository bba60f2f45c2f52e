//! Parses the command line, runs it, prints the error if there is one, and sets the exit code.

fn main() {}
