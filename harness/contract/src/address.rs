//! Where a database is, in every spelling that services want.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::variables::Variables;

/// The parts of a database's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatabaseAddress {
    /// The host.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The password; may be empty.
    pub password: String,
    /// The database's name.
    pub name: String,
}

impl DatabaseAddress {
    /// `postgres://user:password@host:port/name`, percent-encoded where that is needed.
    pub fn url(&self) -> String {
        let encode = |text: &str| match text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
        {
            true => text.to_owned(),
            false => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        };
        let password = match self.password.as_str() {
            "" => String::new(),
            password => format!(":{}", encode(password)),
        };
        let (user, host, name) = (encode(&self.user), &self.host, encode(&self.name));
        format!("postgres://{user}{password}@{host}:{}/{name}", self.port)
    }

    /// Sets `database.url` and all other variables of it.
    pub fn set(&self, variables: &mut Variables) {
        variables.set("database.url", self.url());
        variables.set("database.host", self.host.as_str());
        variables.set("database.port", i64::from(self.port));
        variables.set("database.user", self.user.as_str());
        variables.set("database.password", self.password.as_str());
        variables.set("database.name", self.name.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    fn address(password: &str) -> DatabaseAddress {
        DatabaseAddress {
            host: "127.0.0.1".to_owned(),
            port: 5432,
            user: "rowlock".to_owned(),
            password: password.to_owned(),
            name: "trial_1".to_owned(),
        }
    }

    #[test]
    fn a_url_has_a_password_where_there_is_one() {
        assert_eq!(
            address("").url(),
            "postgres://rowlock@127.0.0.1:5432/trial_1"
        );
        assert_eq!(
            address("a/b").url(),
            "postgres://rowlock:a%2Fb@127.0.0.1:5432/trial_1"
        );
    }

    #[test]
    fn any_spelling_can_be_made_of_its_parts() {
        let mut variables = Variables::new();
        address("p").set(&mut variables);
        let spelling = "jdbc:postgresql://${database.host}:${database.port}/${database.name}?user=${database.user}&password=${database.password}";
        let filled = Template::parse(spelling)
            .and_then(|it| it.fill(&variables).map_err(|it| it.to_string()));
        let expected = "jdbc:postgresql://127.0.0.1:5432/trial_1?user=rowlock&password=p";
        assert_eq!(filled.as_deref(), Ok(expected));
    }
}
