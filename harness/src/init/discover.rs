//! How a service is started, as the files beside it tell.

use std::fs;
use std::path::Path;

/// What was found of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The command that starts it, and the file that says so.
    pub command: Option<(String, &'static str)>,
    /// Commands that make its schema, with the files that say so.
    pub migrate: Vec<(String, &'static str)>,
    /// The scheme of its DATABASE_URL, where that is set and not `postgres`.
    pub scheme: Option<String>,
}

/// Looks into `directory`; `database_url` is the environment's.
pub fn discover(directory: &Path, database_url: Option<&str>) -> Found {
    let has = |name: &str| directory.join(name).exists();
    let mut found = Found {
        command: procfile(directory).or_else(|| npm_start(directory)),
        scheme: database_url.and_then(scheme),
        ..Found::default()
    };
    if has("manage.py") {
        let serve = "python3 manage.py runserver ${host}:${port} --noreload";
        found.command.get_or_insert((serve.into(), "manage.py"));
        found
            .migrate
            .push(("python3 manage.py migrate".into(), "manage.py"));
    }
    if has("alembic.ini") {
        found
            .migrate
            .push(("alembic upgrade head".into(), "alembic.ini"));
    }
    for file in ["knexfile.js", "knexfile.ts"] {
        if has(file) {
            found
                .migrate
                .push(("npx knex migrate:latest".into(), "knexfile"));
        }
    }
    if has("prisma/schema.prisma") {
        let deploy = "npx prisma migrate deploy";
        found.migrate.push((deploy.into(), "prisma/schema.prisma"));
    }
    if has("Cargo.toml") {
        let run = "cargo run --release";
        found.command.get_or_insert((run.into(), "Cargo.toml"));
    }
    if has("go.mod") {
        found.command.get_or_insert(("go run .".into(), "go.mod"));
    }
    found
}

/// The `web` line of a Procfile.
fn procfile(directory: &Path) -> Option<(String, &'static str)> {
    let text = fs::read_to_string(directory.join("Procfile")).ok()?;
    let command = text.lines().find_map(|line| line.strip_prefix("web:"))?;
    // What the platform sets as $PORT.
    let command = command.trim().replace("$PORT", "${port}");
    Some((command, "Procfile"))
}

fn npm_start(directory: &Path) -> Option<(String, &'static str)> {
    let text = fs::read_to_string(directory.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    package["scripts"]["start"].as_str()?;
    Some(("npm start".into(), "package.json"))
}

fn scheme(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once("://")?;
    (scheme != "postgres").then(|| scheme.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_directory(files: &[(&str, &str)], database_url: Option<&str>) -> Found {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        discover(directory.path(), database_url)
    }

    #[test]
    fn a_procfile_says_more_than_a_package() {
        let package = ("package.json", r#"{"scripts": {"start": "node ."}}"#);
        let found = in_directory(&[package], None);
        assert_eq!(found.command, Some(("npm start".into(), "package.json")));
        let procfile = ("Procfile", "web: gunicorn app:app --bind 0.0.0.0:$PORT\n");
        let found = in_directory(&[package, procfile], None);
        let command = "gunicorn app:app --bind 0.0.0.0:${port}".to_owned();
        assert_eq!(found.command, Some((command, "Procfile")));
    }

    #[test]
    fn a_schema_s_tool_is_known_by_its_file() {
        let found = in_directory(&[("manage.py", ""), ("alembic.ini", "")], None);
        let commands: Vec<_> = found.migrate.iter().map(|(command, _)| command).collect();
        assert_eq!(
            commands,
            ["python3 manage.py migrate", "alembic upgrade head"]
        );
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert_eq!(
            in_directory(&[], Some("postgres://a@b/c")),
            Found::default()
        );
        let found = in_directory(&[], Some("postgresql+asyncpg://a@b/c"));
        assert_eq!(found.scheme.as_deref(), Some("postgresql+asyncpg"));
    }
}
