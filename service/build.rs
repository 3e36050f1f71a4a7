//! Rebuilds the embedded migrations when a file is added, which `include_str!` cannot see.
fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
