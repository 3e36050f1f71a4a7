//! The children of a process.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// The process ids of `parent`'s children: from `/proc` where there is one, else from `ps`.
pub(super) fn of(parent: u32) -> io::Result<Vec<i32>> {
    let pairs = if Path::new("/proc/self/stat").exists() {
        from_proc()?
    } else {
        from_ps()?
    };
    let parent = i32::try_from(parent).map_err(io::Error::other)?;
    Ok(pairs
        .into_iter()
        .filter(|(_, of)| *of == parent)
        .map(|(pid, _)| pid)
        .collect())
}

fn from_proc() -> io::Result<Vec<(i32, i32)>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    Ok(stats.filter_map(|stat| parse_stat(&stat)).collect())
}

/// Reads pid and parent from a line of the form `12 (any name) S 1 …`; see proc(5).
fn parse_stat(stat: &str) -> Option<(i32, i32)> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    // The name may itself hold spaces and parentheses; the last one ends it.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let parent = after_name.split(' ').nth(1)?.parse().ok()?;
    Some((pid, parent))
}

fn from_ps() -> io::Result<Vec<(i32, i32)>> {
    let answer = Command::new("ps")
        .args(["-A", "-o", "pid=", "-o", "ppid="])
        .output()?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let pair = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    Ok(text.lines().filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_a_parenthesis_does_not_hide_the_parent() {
        assert_eq!(parse_stat("12 (a) b) S 7 12 12 0"), Some((12, 7)));
    }

    #[test]
    fn child_is_listed_among_its_parents_children() {
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let listed = of(std::process::id()).unwrap();
        child.kill().unwrap();
        let pid = i32::try_from(child.wait().map(|_| child.id()).unwrap()).unwrap();
        assert!(listed.contains(&pid), "{pid} is not in {listed:?}");
    }
}
