//! Checks before a database is used: its version, and whether this user may do there what has to be done. What a
//! statement is refused for would say less.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::errors::Failure;
use super::schema::quoted;
use crate::store::StoreError;

/// The oldest version of PostgreSQL that will do, as `server_version_num` has it.
const OLDEST: i32 = 130_000;

/// Refuses a database that is too old. To be asked before anything else, which such a one may not understand.
pub(super) async fn check_version(client: &Client) -> Result<(), Failure> {
    let told = client.simple_query("SHOW server_version_num").await?;
    let number = told.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    match number.and_then(too_old) {
        Some(reason) => Err(Failure::Refused(StoreError::Io(reason))),
        None => Ok(()),
    }
}

/// Returns the reason for which a version can't be used.
fn too_old(number: i32) -> Option<String> {
    (number < OLDEST).then(|| {
        let (version, least) = (number / 10_000, OLDEST / 10_000);
        format!("it is PostgreSQL {version}, and {least} or newer is needed")
    })
}

/// The schema as it is there, and what this user may do with it. Its tables are asked for one by one: what is one right of a
/// statement is several here.
const RIGHTS: &str = "
    SELECT current_user::text, current_database()::text, n.oid IS NOT NULL,
        has_database_privilege(current_database(), 'CREATE'),
        coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
        coalesce(has_schema_privilege(n.oid, 'CREATE'), false),
        EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'meta'),
        NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND CASE c.relkind
                WHEN 'r' THEN NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))
                WHEN 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE')
                ELSE false END
        )
    FROM (SELECT $1::text AS name) AS s LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.name";

/// Refuses a schema that this user may not use or not create, and says which grants are lacking.
pub(super) async fn check(client: &Client, schema: &str) -> Result<(), Failure> {
    let row = client.query_one(RIGHTS, &[&schema]).await?;
    let rights = Rights {
        user: row.try_get(0)?,
        database: row.try_get(1)?,
        is_there: row.try_get(2)?,
        may_create_it: row.try_get(3)?,
        may_use: row.try_get(4)?,
        may_create_in: row.try_get(5)?,
        has_tables: row.try_get(6)?,
        may_use_tables: row.try_get(7)?,
    };
    match rights.lacking(schema) {
        Some(reason) => Err(Failure::Refused(StoreError::Io(reason))),
        None => Ok(()),
    }
}

/// The rights of a user.
struct Rights {
    user: String,
    database: String,
    is_there: bool,
    may_create_it: bool,
    may_use: bool,
    may_create_in: bool,
    has_tables: bool,
    may_use_tables: bool,
}

impl Rights {
    /// Returns what is lacking, and the statements by which an administrator of the database gives it.
    fn lacking(&self, name: &str) -> Option<String> {
        let (schema, user) = (quoted(name), quoted(&self.user));
        let (cant, grants) = match self {
            Self { is_there: false, may_create_it: false, database, .. } => (
                "create",
                format!(
                    "CREATE SCHEMA {schema} AUTHORIZATION {user}, or GRANT CREATE ON DATABASE {} TO {user}",
                    quoted(database)
                ),
            ),
            Self { is_there: true, has_tables: false, may_use, may_create_in, .. }
                if !may_use || !may_create_in =>
            {
                ("create tables in", format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {user}"))
            }
            Self { has_tables: true, may_use, may_use_tables, .. }
                if !may_use || !may_use_tables =>
            {
                (
                    "use all of",
                    format!(
                        "GRANT USAGE ON SCHEMA {schema} TO {user}; \
                     GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}; \
                     GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}"
                    ),
                )
            }
            _ => return None,
        };
        Some(format!(
            "the user {} may not {cant} the schema {name}; an administrator of the database can allow it: {grants}",
            self.user
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_13_are_refused() {
        assert_eq!(
            too_old(120_022).as_deref(),
            Some("it is PostgreSQL 12, and 13 or newer is needed")
        );
        assert_eq!(
            too_old(90_624).as_deref(),
            Some("it is PostgreSQL 9, and 13 or newer is needed")
        );
        assert_eq!(too_old(130_000), None);
        assert_eq!(too_old(180_001), None);
    }

    #[test]
    fn grants_that_are_lacking_are_said() {
        const ALL: Rights = Rights {
            user: String::new(),
            database: String::new(),
            is_there: true,
            may_create_it: true,
            may_use: true,
            may_create_in: true,
            has_tables: true,
            may_use_tables: true,
        };
        for (rights, want) in [
            (ALL, None),
            (Rights { may_create_in: false, may_create_it: false, ..ALL }, None),
            (Rights { is_there: false, has_tables: false, may_use: false, ..ALL }, None),
            (
                Rights { is_there: false, has_tables: false, may_create_it: false, ..ALL },
                Some("GRANT CREATE ON DATABASE \"d\" TO \"u\""),
            ),
            (
                Rights { has_tables: false, may_create_in: false, ..ALL },
                Some("GRANT USAGE, CREATE ON SCHEMA \"s\" TO \"u\""),
            ),
            (
                Rights { has_tables: false, may_use: false, ..ALL },
                Some("GRANT USAGE, CREATE ON SCHEMA \"s\" TO \"u\""),
            ),
            (Rights { may_use: false, ..ALL }, Some("GRANT USAGE ON SCHEMA \"s\" TO \"u\";")),
            (
                Rights { may_use_tables: false, ..ALL },
                Some("ON ALL TABLES IN SCHEMA \"s\" TO \"u\""),
            ),
        ] {
            let rights = Rights { user: "u".to_owned(), database: "d".to_owned(), ..rights };
            let got = rights.lacking("s");
            assert_eq!(got.is_some(), want.is_some(), "{got:?}");
            assert!(got.unwrap_or_default().contains(want.unwrap_or_default()));
        }
    }
}
