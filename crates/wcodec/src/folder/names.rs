//! Names that a system does not have, or takes for something else than a file of that name.

use crate::error::{Error, Result};

/// Names that stand for devices in every folder of Windows, whatever follows behind a dot.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
/// The same, with a digit behind them.
const PORTS: [&str; 2] = ["COM", "LPT"];

/// Checks that a file made by this name has it: on Windows no device (`NUL`), stream (`a:b`) or other name (`a.` is
/// `a`) is meant. The name comes from a file, say, or is part of a path that does.
///
/// # Errors
/// If this system has no file of the name.
pub fn check_file_name(name: &str) -> Result<()> {
    check(name, cfg!(windows))
}

/// Whether the parts of a path are names of files, on Windows or elsewhere.
pub(super) fn check(path: &str, windows: bool) -> Result<()> {
    if windows && path.split('/').any(|part| !windows_has(part)) {
        return Err(Error::argument(format!("this system has no file called {path:?}")));
    }
    Ok(())
}

fn windows_has(name: &str) -> bool {
    let legal = |c: char| c >= ' ' && !r#"<>:"/\|?*"#.contains(c);
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let stem = stem.to_uppercase();
    let port = PORTS.iter().filter_map(|port| stem.strip_prefix(port)).any(|rest| {
        let mut rest = rest.chars();
        let digit = rest.next().is_some_and(|c| c.is_ascii_digit() || "¹²³".contains(c));
        digit && rest.next().is_none()
    });
    name.chars().all(legal)
        && !name.ends_with(['.', ' '])
        && !port
        && !DEVICES.contains(&stem.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_takes_for_something_else_are_refused_there() {
        let devices =
            ["CON", "con", "Nul", "aux.txt", "PRN.tar.gz", "nul .txt", "CONIN$", "conout$"];
        let ports = ["COM1", "com9", "LPT0", "lpt5.bin", "COM²", "LPT¹.x", "com3 "];
        let others =
            ["a.", "a ", "...", "C:", "a:b", "sha256:0", "a?", "a*b", "<a", "a|b", "\"a\""];
        let characters = ["a\u{1}", "a\nb", "a\\b"];
        for name in devices.iter().chain(&ports).chain(&others).chain(&characters) {
            for path in [(*name).to_owned(), format!("{name}/a"), format!("a/b/{name}")] {
                assert!(check(&path, true).is_err(), "{path:?}");
                assert!(check(&path, false).is_ok(), "{path:?}");
            }
        }
        let sound = [
            "a",
            "a.b",
            "..a",
            ".hidden",
            "con1",
            "CONSOLE",
            "xCON",
            "com",
            "COM10",
            "COMA",
            "LPT",
            "NUL1",
            "nul_",
            "a b",
            "ä",
            "模型",
            "COM¹0",
            "a/b.c/d",
            "auxiliary.txt",
            "-",
            "x.con",
        ];
        for name in sound {
            assert!(check(name, true).is_ok(), "{name:?}");
        }
        assert_eq!(check_file_name("NUL").is_err(), cfg!(windows));
    }
}
