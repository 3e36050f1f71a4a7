//! `rowlock doctor`: what is here, what could be used for what, and what to install.

use std::process::ExitCode;

use rowlock_postgres::{Provider, Settings, Surveyed, survey};

use super::exit_code::Exit;
use super::output;
use super::run::SPARE_FILES;

/// What `concurrent-buyers` lets go at once unless told otherwise.
const BUYERS: u64 = 10_000;

/// Memory below which ten thousand buyers, the service and PostgreSQL are tight, in MiB.
const MEMORY_MIB: u64 = 1_024;

/// One thing that was looked at.
struct Checked {
    name: String,
    is_there: bool,
    /// What was found.
    found: String,
    /// What to do about it, where there is something to do.
    advice: Option<&'static str>,
}

/// Exit codes: 0 `verify` could run here; 3 it could not.
pub(super) async fn doctor() -> anyhow::Result<ExitCode> {
    let surveyed = survey(&Settings::from_env()).await;
    let has_postgres = surveyed.iter().any(|one| one.found.is_ok());
    let mut all: Vec<_> = surveyed.into_iter().map(postgres).collect();
    let files = files();
    all.extend([files, memory()]);
    let mut text: String = all.iter().map(Checked::render).collect();
    text += "\n";
    text += &usable(&all);
    output::write(&text)?;
    Ok(match has_postgres {
        true => Exit::Held.into(),
        false => Exit::Environment.into(),
    })
}

fn postgres(surveyed: Surveyed) -> Checked {
    let advice = match surveyed.provider {
        Provider::Container => "start Docker, or set DOCKER_HOST",
        Provider::Local => "install PostgreSQL (Debian: apt install postgresql), or set PG_BIN",
        Provider::Url | Provider::Auto => "set DATABASE_URL to a server that may be used for tests",
    };
    let is_there = surveyed.found.is_ok();
    Checked {
        name: format!("--postgres {}", surveyed.provider),
        is_there,
        found: surveyed.found.unwrap_or_else(|why| why),
        advice: (!is_there).then_some(advice),
    }
}

fn files() -> Checked {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // The command raises its own limit as far as it may.
    let most = limit.maximum.unwrap_or(u64::MAX);
    let needed = BUYERS + SPARE_FILES;
    let is_there = most >= needed;
    Checked {
        name: "open files".into(),
        is_there,
        found: match limit.maximum {
            Some(most) => format!("at most {most}; {BUYERS} buyers need {needed}"),
            None => "as many as wanted".into(),
        },
        advice: (!is_there).then_some("ulimit -Hn 65536, or fewer --buyers"),
    }
}

fn memory() -> Checked {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = text.lines().find_map(|line| {
        let kib = line.strip_prefix("MemAvailable:")?.trim();
        let kib: u64 = kib.strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024)
    });
    let is_there = available.is_none_or(|mib| mib >= MEMORY_MIB);
    Checked {
        name: "memory".into(),
        is_there,
        found: match available {
            Some(mib) => format!("{mib} MiB available"),
            None => "not known here".into(),
        },
        advice: (!is_there).then_some("fewer --buyers, or more memory"),
    }
}

/// What each command could do with it.
fn usable(all: &[Checked]) -> String {
    let is_there = |name: &str| all.iter().any(|one| one.name == name && one.is_there);
    let providers = [Provider::Container, Provider::Local, Provider::Url];
    let usable = providers
        .iter()
        .map(|provider| format!("--postgres {provider}"));
    let usable: Vec<_> = usable.filter(|name| is_there(name)).collect();
    if usable.is_empty() {
        return "no PostgreSQL can be had here: only check, list and init would run\n".into();
    }
    let mut text = format!(
        "verify, run, faults, explore, hunt, replay, mutants: {}\n",
        usable.join(" or ")
    );
    if !is_there("--postgres container") && !is_there("--postgres local") {
        text += "faults leaves out those that kill the server: it is not the harness's own\n";
    }
    if !is_there("open files") {
        text += "verify and run concurrent-buyers need fewer --buyers\n";
    }
    text
}

impl Checked {
    fn render(&self) -> String {
        let mark = if self.is_there { "ok" } else { "no" };
        let mut text = format!("  {mark}  {:<21} {}\n", self.name, self.found);
        if let Some(advice) = self.advice {
            text += &format!("      {:<21} → {advice}\n", "");
        }
        text
    }
}
