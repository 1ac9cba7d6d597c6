//! Lists the detection rules under `queries/detections`, the hunts under `queries/hunts` and the
//! logic of others under `queries/comparators`, so that adding a rule is adding its files.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(missing)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(missing)?);

    let rules: &[_] = &[
        ("pub const RULES", ".sql"),
        ("pub const CASES", ".cases.toml"),
        ("pub const REGISTRIES", ".registry.toml"),
    ];
    for (folder, constants, file) in [
        ("queries/detections", rules, "embedded_rules.rs"),
        (
            "queries/comparators",
            &[("const COMPARATORS", ".sql")],
            "embedded_comparators.rs",
        ),
        (
            "queries/hunts",
            &[("const HUNTS", ".sql")],
            "embedded_hunts.rs",
        ),
    ] {
        println!("cargo:rerun-if-changed={folder}");
        fs::write(out.join(file), listing(&root.join(folder), constants)?)?;
    }
    Ok(())
}

/// Constants with the names and texts of a folder's files, by their endings.
fn listing(folder: &Path, constants: &[(&str, &str)]) -> io::Result<String> {
    let mut listing = String::new();
    for (constant, ending) in constants {
        listing.push_str(&format!("{constant}: &[(&str, &str)] = &[\n"));
        for path in files(folder, ending)? {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            let text = path.display().to_string();
            listing.push_str(&format!("    ({name:?}, include_str!({text:?})),\n"));
        }
        listing.push_str("];\n");
    }
    Ok(listing)
}

/// Files of a folder by their ending, in name order; none where the folder is missing.
fn files(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut found = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let matches = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with(ending));
        if matches {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn missing() -> io::Error {
    io::Error::other("cargo did not set the build script's folders")
}
