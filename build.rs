//! Builds the relaxed-SIMD form of the matrix kernel into a wasm module of its own, because a
//! browser without relaxed SIMD refuses a whole module over one such instruction.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const KERNEL: &str = "src/kernels/gemm/micro_kernel.rs";
const ROOT: &str = "src/kernels/gemm/relaxed_module.rs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={KERNEL}");
    println!("cargo::rerun-if-changed={ROOT}");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("wasm32") {
        return;
    }
    // The module's function joins the table of the main module, which must be able to grow.
    println!("cargo::rustc-link-arg=--growable-table");

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("relaxed.wasm");
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    rustc.args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "relaxed", ROOT]);
    rustc.args(["--target", "wasm32-unknown-unknown", "-C", "opt-level=3", "-C", "strip=symbols"]);
    rustc.args(["-C", "target-feature=+simd128,+relaxed-simd", "-C", "panic=abort"]);
    rustc.args(["-C", "link-arg=--import-memory", "-C", "link-arg=-zstack-size=0"]);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.display()));
    }
    let status = rustc.arg("-o").arg(&out).status().expect("rustc can be started");
    assert!(status.success(), "{ROOT} does not compile: {status}");

    // It computes in the main module's memory, so it must have nothing of its own there. A stack of
    // no bytes ends at address 0: a function that used it would trap on its first call.
    const DATA: u8 = 11;
    let module = std::fs::read(&out).expect("rustc wrote the module");
    assert!(!sections(&module).contains(&DATA), "{ROOT} has data, which would overlap the main module's");
}

/// The ids of a module's sections (<https://webassembly.github.io/spec/core/binary/modules.html>).
fn sections(module: &[u8]) -> Vec<u8> {
    let mut ids = Vec::new();
    let mut at = 8;
    while at < module.len() {
        ids.push(module[at]);
        at += 1;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = module[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += length;
    }
    ids
}
