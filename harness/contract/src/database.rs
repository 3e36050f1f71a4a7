//! What the database holds before the first call, what is put back, what is not compared, and whose
//! statements are nobody's.

use std::path::PathBuf;

use crate::actor::PlannedCall;
use crate::pattern::Pattern;
use crate::service::Process;
use crate::template::Template;

/// The database of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Commands that make its schema, one after another.
    pub migrate: Vec<Process>,
    /// SQL that is run after them.
    pub sql: Option<Seed>,
    /// Calls that are made once after the start.
    pub calls: Vec<SeedCall>,
    /// Commands that are run between two runs, beside the rows that are put back.
    pub restore: Vec<Process>,
    /// What the service remembers by itself.
    pub memory: Memory,
    /// What is not compared.
    pub ignore: Vec<Ignored>,
    /// Whose statements belong to no call.
    pub background: Vec<Background>,
}

/// SQL that fills the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seed {
    /// As it stands in the contract.
    Text(Template),
    /// In a file, which is no template.
    File(PathBuf),
}

/// A call that fills the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedCall {
    /// Whose variables and cookies it has; nobody's, if there is none.
    pub actor: Option<String>,
    /// The call.
    pub planned: PlannedCall,
}

/// What becomes of what a service remembers outside its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Memory {
    /// It is kept: the service remembers nothing that matters.
    #[default]
    Keep,
    /// The service is started anew for each run.
    Restart,
}

/// A table or column that is not compared: `sessions`, `item.updated_at`, `*.updated_at`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ignored(pub String);

/// How statements are known that no call has sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Background {
    /// This is in their text, in whatever case.
    Text(String),
    /// Their text matches.
    Matches(Pattern),
    /// Their connection calls itself so.
    ApplicationName(String),
}

impl Ignored {
    /// Whether all of `table` is not compared.
    pub fn is_table(&self, table: &str) -> bool {
        bare(&self.0) == bare(table)
    }

    /// Whether `column` of `table` is not compared, be it with all of the table.
    pub fn is_column(&self, table: &str, column: &str) -> bool {
        let ignored = bare(&self.0);
        let is_named = match ignored.rsplit_once('.') {
            Some(("*", name)) => name == bare(column),
            Some((of_table, name)) => of_table == bare(table) && name == bare(column),
            None => false,
        };
        is_named || self.is_table(table)
    }
}

/// A name without the quotes that SQL wants of some.
fn bare(name: &str) -> String {
    let name = name.replace('"', "");
    name.strip_prefix("public.").unwrap_or(&name).to_owned()
}

impl Background {
    /// Whether a statement of a connection with that `application_name` is so known.
    pub fn is(&self, statement: &str, application_name: &str) -> bool {
        match self {
            Background::Text(part) => {
                let statement = statement.to_lowercase();
                statement.contains(&part.to_lowercase())
            }
            Background::Matches(pattern) => pattern.is_in(statement),
            Background::ApplicationName(name) => name == application_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_columns_are_ignored_by_name() {
        let ignored = |text: &str| Ignored(text.to_owned());
        assert!(ignored("sessions").is_table("sessions"));
        assert!(ignored("order").is_table("\"order\""));
        assert!(ignored("public.sessions").is_table("sessions"));
        assert!(ignored("sessions").is_table("public.sessions"));
        assert!(!ignored("sessions").is_table("shop.sessions"));
        assert!(ignored("shop.item").is_table("shop.item"));
        assert!(!ignored("item.updated_at").is_table("item"));
        assert!(ignored("item.updated_at").is_column("item", "updated_at"));
        assert!(ignored("shop.item.a").is_column("shop.item", "a"));
        assert!(!ignored("item.updated_at").is_column("item", "stock"));
        assert!(!ignored("item.updated_at").is_column("wallet", "updated_at"));
        assert!(ignored("*.updated_at").is_column("wallet", "updated_at"));
        assert!(ignored("sessions").is_column("sessions", "any"));
    }

    #[test]
    fn background_is_known_by_text_pattern_or_connection() {
        let text = Background::Text("PG_notify".to_owned());
        assert!(text.is("SELECT pg_NOTIFY('a', '')", ""));
        assert!(!text.is("select 1", "pg_notify"));
        let matches = Background::Matches(Pattern::new("^select 1$").unwrap());
        assert!(matches.is("select 1", "") && !matches.is("select 12", ""));
        let name = Background::ApplicationName("worker".to_owned());
        assert!(name.is("select 1", "worker") && !name.is("worker", "web"));
    }
}
