//! What the database itself says of its tables, as far as footprints depend on it.
//!
//! A statement on a table touches more than its text shows: foreign keys lock the rows that they
//! name, unique indexes make inserts wait for each other, triggers do anything. All of that is
//! in the catalog. What a target changes there later is not seen.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

/// What SQL says of a value and no function: `pg_proc` does not have them.
const KEYWORDS: &[&str] = &[
    "array",
    "coalesce",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "greatest",
    "grouping",
    "least",
    "localtime",
    "localtimestamp",
    "nullif",
    "row",
    "session_user",
    "user",
];

/// Functions of PostgreSQL's own that are not immutable, and depend on nothing but their arguments, the
/// time, settings and chance all the same.
const HARMLESS: &[&str] = &[
    "age",
    "array_to_json",
    "array_to_string",
    "clock_timestamp",
    "concat",
    "concat_ws",
    "convert",
    "convert_from",
    "convert_to",
    "date_part",
    "date_trunc",
    "enum_first",
    "enum_last",
    "enum_range",
    "extract",
    "format",
    "gen_random_uuid",
    "generate_series",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "json_populate_record",
    "json_populate_recordset",
    "json_to_record",
    "json_to_recordset",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "length",
    "make_timestamptz",
    "now",
    "overlaps",
    "pg_typeof",
    "phraseto_tsquery",
    "plainto_tsquery",
    "quote_literal",
    "quote_nullable",
    "random",
    "row_to_json",
    "statement_timestamp",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "transaction_timestamp",
    "ts_headline",
    "websearch_to_tsquery",
];

/// The tables whose statements can be understood; all others touch everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// By name; a name that several schemas have is left out.
    pub tables: BTreeMap<String, Table>,
    /// Functions that touch no table, by name; a name that somebody else uses, too, is left out.
    pub functions: BTreeSet<String>,
    /// Whether transactions are READ COMMITTED unless they say otherwise.
    pub is_read_committed: bool,
}

/// One table without triggers, rules, row security, partitions and children, and without functions
/// of the target's in its defaults and checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns by name.
    pub columns: BTreeMap<String, Column>,
    /// The columns of each unique index.
    pub unique: Vec<Vec<String>>,
    /// What its rows refer to.
    pub foreign: Vec<Foreign>,
    /// Columns to which other tables' rows refer.
    pub referenced: BTreeSet<String>,
    /// The tables whose rows do; one of which nothing is known may be among them.
    pub referencing: BTreeSet<String>,
}

/// One column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Column {
    /// How two of its values are told apart.
    pub kind: Kind,
    /// Whether a row that does not name it gets a value that no other row has.
    pub is_generated: bool,
    /// Whether a row that does not name it gets some other value than NULL.
    pub has_default: bool,
}

/// How two values of a column are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// As whole numbers.
    Integer,
    /// As texts, byte by byte.
    Text,
    /// Not by their texts.
    #[default]
    Other,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The table it refers to.
    pub table: String,
    /// Pairs of its own column and the one referred to.
    pub columns: Vec<(String, String)>,
}

impl Catalog {
    /// Reads the catalog.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn read(connection: &mut PgConnection) -> Result<Catalog, sqlx::Error> {
        // A target may come as somebody else.
        let is_read_committed = sqlx::query_scalar(
            "select current_setting('default_transaction_isolation') = 'read committed'
                and not exists (
                    select from pg_db_role_setting s, unnest(s.setconfig) setting
                     where s.setdatabase in (0, (select oid from pg_database
                                                  where datname = current_database()))
                       and setting like 'default\\_transaction\\_isolation=%'
                       and setting not like '%=read committed')",
        )
        .fetch_one(&mut *connection)
        .await?;
        let mut catalog = Catalog {
            tables: BTreeMap::new(),
            functions: Catalog::read_functions(connection).await?,
            is_read_committed,
        };
        catalog.read_columns(connection).await?;
        catalog.read_unique(connection).await?;
        catalog.read_foreign(connection).await?;
        Ok(catalog)
    }

    /// Whoever is superuser could make one in `pg_catalog`; its oid tells it.
    async fn read_functions(
        connection: &mut PgConnection,
    ) -> Result<BTreeSet<String>, sqlx::Error> {
        let of_the_server: Vec<String> = sqlx::query_scalar(
            "select proname::text from pg_proc
              group by proname
             having bool_and(pronamespace = 'pg_catalog'::regnamespace and oid < 16384
                             and (provolatile = 'i' or proname = any ($1)))",
        )
        .bind(HARMLESS)
        .fetch_all(connection)
        .await?;
        let keywords = KEYWORDS.iter().map(|name| (*name).to_owned());
        Ok(of_the_server.into_iter().chain(keywords).collect())
    }

    async fn read_columns(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        type Row = (String, String, String, bool, bool);
        let rows: Vec<Row> = sqlx::query_as(
            "with plain as (
                 select c.oid, c.relname
                   from pg_class c
                   join pg_namespace n on n.oid = c.relnamespace
                  where c.relkind = 'r' and not c.relhasrules and not c.relrowsecurity
                    and not c.relhassubclass and not c.relispartition
                    and n.nspname not in ('pg_catalog', 'information_schema')
                    and not exists (select from pg_trigger t
                                     where t.tgrelid = c.oid and not t.tgisinternal)
                    -- What indexes compute or leave out is not understood, nor two NULLs that are
                    -- the same (from PostgreSQL 15 on).
                    and not exists (select from pg_index i
                                     where i.indrelid = c.oid and (i.indisunique or i.indisexclusion)
                                       and (i.indexprs is not null or i.indpred is not null
                                            or i.indisexclusion
                                            or to_jsonb(i) ->> 'indnullsnotdistinct' = 'true'))
                    -- A default or a check may call what reads other tables; the server's own
                    -- functions and those of its extensions do not.
                    and not exists (
                        select from pg_depend d
                          join pg_proc f on f.oid = d.refobjid
                          join pg_language l on l.oid = f.prolang
                         where d.refclassid = 'pg_proc'::regclass
                           and l.lanname not in ('c', 'internal')
                           and (d.classid, d.objid) in (
                                   select 'pg_attrdef'::regclass, a.oid
                                     from pg_attrdef a where a.adrelid = c.oid
                                   union all
                                   select 'pg_constraint'::regclass, k.oid
                                     from pg_constraint k
                                    where k.conrelid = c.oid
                                       or k.contypid in (select a.atttypid from pg_attribute a
                                                          where a.attrelid = c.oid)))
                    and (select count(*) from pg_class other
                          where other.relname = c.relname
                            and other.relkind in ('r', 'v', 'm', 'p', 'f')) = 1)
             select p.relname::text, a.attname::text, a.atttypid::regtype::text,
                    a.attidentity <> ''
                        or coalesce(pg_get_expr(d.adbin, d.adrelid) like 'nextval(%', false),
                    a.atthasdef or a.attidentity <> ''
               from plain p
               join pg_attribute a on a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped
               left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum",
        )
        .fetch_all(connection)
        .await?;
        for (table, name, type_name, is_generated, has_default) in rows {
            let kind = match type_name.as_str() {
                "smallint" | "integer" | "bigint" => Kind::Integer,
                "text" | "character varying" => Kind::Text,
                _ => Kind::Other,
            };
            let column = Column {
                kind,
                is_generated,
                has_default,
            };
            let table = self.tables.entry(table).or_default();
            table.columns.insert(name, column);
        }
        Ok(())
    }

    async fn read_unique(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
            "select c.relname::text,
                    array(select a.attname::text from pg_attribute a
                           where a.attrelid = i.indrelid
                             and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]))
               from pg_index i join pg_class c on c.oid = i.indrelid
              where i.indisunique",
        )
        .fetch_all(connection)
        .await?;
        for (table, columns) in rows {
            if let Some(table) = self.tables.get_mut(&table) {
                table.unique.push(columns);
            }
        }
        Ok(())
    }

    async fn read_foreign(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let rows: Vec<(String, String, Vec<String>, Vec<String>)> = sqlx::query_as(
            "select own.relname::text, other.relname::text,
                    array(select a.attname::text
                            from unnest(c.conkey) with ordinality as k (attnum, place)
                            join pg_attribute a
                              on a.attrelid = c.conrelid and a.attnum = k.attnum
                           order by k.place),
                    array(select a.attname::text
                            from unnest(c.confkey) with ordinality as k (attnum, place)
                            join pg_attribute a
                              on a.attrelid = c.confrelid and a.attnum = k.attnum
                           order by k.place)
               from pg_constraint c
               join pg_class own on own.oid = c.conrelid
               join pg_class other on other.oid = c.confrelid
              where c.contype = 'f'",
        )
        .fetch_all(connection)
        .await?;
        for (from, to, own, referred) in rows {
            if let Some(table) = self.tables.get_mut(&to) {
                table.referenced.extend(referred.iter().cloned());
                table.referencing.insert(from.clone());
            }
            if let Some(table) = self.tables.get_mut(&from) {
                table.foreign.push(Foreign {
                    table: to,
                    columns: own.into_iter().zip(referred).collect(),
                });
            }
        }
        Ok(())
    }
}
