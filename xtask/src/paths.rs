//! Where things are.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The repository's root.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        manifest.parent().expect("xtask lies in the repository").to_path_buf()
    });
    &ROOT
}

/// What is fetched or installed once for this user: tools, the default model, the Python environment.
pub fn cache() -> PathBuf {
    if let Some(dir) = env::var_os("LORALET_CACHE") {
        return absolute(Path::new(&dir));
    }
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"));
    home.map_or_else(|| root().join(".cache"), |home| PathBuf::from(home).join(".cache/loralet"))
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| absolute(Path::new(&dir)))
}

pub fn www() -> PathBuf {
    root().join("www")
}

/// The built pages that do not ship.
pub fn tool_pages() -> PathBuf {
    www().join("dist-tools")
}

pub fn pkg() -> PathBuf {
    root().join("pkg")
}

/// Where the outputs of long-running programs are kept.
pub fn logs() -> PathBuf {
    target().join("logs")
}

/// As the user would write it: relative to the current directory where it lies inside it.
pub fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
