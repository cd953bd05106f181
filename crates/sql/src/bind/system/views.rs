//! System relations that follow from others, as queries in our own dialect.
//!
//! Columns are matched by name with those PostgreSQL's relation has; what a query leaves out is NULL.

/// Schema and name, and the query.
pub(super) const VIEWS: &[(&str, &str, &str)] = &[
    (
        "pg_catalog",
        "pg_tables",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, pg_catalog.pg_get_userbyid(c.relowner) AS tableowner,
            c.relhasindex AS hasindexes, false AS hasrules, false AS hastriggers, c.relrowsecurity AS rowsecurity
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p')",
    ),
    (
        "pg_catalog",
        "pg_views",
        "SELECT n.nspname AS schemaname, c.relname AS viewname, pg_catalog.pg_get_userbyid(c.relowner) AS viewowner,
            pg_catalog.pg_get_viewdef(c.oid) AS definition
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'v'",
    ),
    (
        "pg_catalog",
        "pg_policies",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, p.polname AS policyname,
            CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END AS permissive,
            CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                WHEN 'd' THEN 'DELETE' ELSE 'ALL' END AS cmd,
            pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS qual,
            pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
        FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "pg_catalog",
        "pg_indexes",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, i.relname AS indexname,
            pg_catalog.pg_get_indexdef(i.oid) AS indexdef
        FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "pg_catalog",
        "pg_roles",
        "SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
            rolconnlimit, '********' AS rolpassword, rolbypassrls FROM pg_catalog.pg_authid",
    ),
    (
        "pg_catalog",
        "pg_user",
        "SELECT rolname AS usename, oid AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper,
            rolreplication AS userepl, rolbypassrls AS usebypassrls, '********' AS passwd
        FROM pg_catalog.pg_authid WHERE rolcanlogin",
    ),
    (
        "pg_catalog",
        "pg_stat_user_tables",
        "SELECT c.oid AS relid, n.nspname AS schemaname, c.relname AS relname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
    ),
    (
        "pg_catalog",
        "pg_stat_all_tables",
        "SELECT c.oid AS relid, n.nspname AS schemaname, c.relname AS relname
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'",
    ),
    (
        "pg_catalog",
        "pg_stat_database",
        "SELECT oid AS datid, datname FROM pg_catalog.pg_database",
    ),
    (
        "information_schema",
        "schemata",
        "SELECT pg_catalog.current_database() AS catalog_name, nspname AS schema_name,
            pg_catalog.pg_get_userbyid(nspowner) AS schema_owner FROM pg_catalog.pg_namespace",
    ),
    (
        "information_schema",
        "tables",
        "SELECT pg_catalog.current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
            CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type,
            CASE c.relkind WHEN 'v' THEN 'NO' ELSE 'YES' END AS is_insertable_into, 'NO' AS is_typed
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'v', 'p') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')",
    ),
    (
        "information_schema",
        "views",
        "SELECT pg_catalog.current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
            pg_catalog.pg_get_viewdef(c.oid) AS view_definition, 'NONE' AS check_option,
            'NO' AS is_updatable, 'NO' AS is_insertable_into, 'NO' AS is_trigger_updatable,
            'NO' AS is_trigger_deletable, 'NO' AS is_trigger_insertable_into
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'v' AND pg_catalog.has_table_privilege(c.oid, 'SELECT')",
    ),
    (
        "information_schema",
        "columns",
        "SELECT pg_catalog.current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
            a.attname AS column_name, a.attnum AS ordinal_position,
            pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS column_default,
            CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
            pg_catalog.format_type(a.atttypid, NULL) AS data_type,
            CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 THEN a.atttypmod - 4 END AS character_maximum_length,
            CASE WHEN a.atttypid = 25 THEN 1073741824 WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 THEN (a.atttypmod - 4) * 4
                WHEN a.atttypid IN (1042, 1043) THEN 1073741824 END AS character_octet_length,
            CASE a.atttypid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 701 THEN 53
                WHEN 1700 THEN (a.atttypmod - 4) >> 16 END AS numeric_precision,
            CASE WHEN a.atttypid IN (21, 23, 20, 701) THEN 2 WHEN a.atttypid = 1700 THEN 10 END AS numeric_precision_radix,
            CASE WHEN a.atttypid IN (21, 23, 20) THEN 0 WHEN a.atttypid = 1700 THEN (a.atttypmod - 4) & 65535 END AS numeric_scale,
            CASE WHEN a.atttypid IN (1114, 1184) THEN 6 WHEN a.atttypid = 1082 THEN 0 END AS datetime_precision,
            pg_catalog.current_database() AS udt_catalog, 'pg_catalog' AS udt_schema, t.typname AS udt_name,
            a.attnum AS dtd_identifier, 'NO' AS is_self_referencing,
            CASE WHEN a.attidentity IN ('a', 'd') THEN 'YES' ELSE 'NO' END AS is_identity,
            CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity_generation,
            'NO' AS identity_cycle, 'NEVER' AS is_generated,
            CASE c.relkind WHEN 'v' THEN 'NO' ELSE 'YES' END AS is_updatable
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'p')
            AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
        ORDER BY c.oid, a.attnum",
    ),
    (
        "information_schema",
        "table_constraints",
        "SELECT pg_catalog.current_database() AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name,
            pg_catalog.current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
            CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' WHEN 'c' THEN 'CHECK' ELSE 'FOREIGN KEY' END AS constraint_type,
            'NO' AS is_deferrable, 'NO' AS initially_deferred, 'YES' AS enforced
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE k.contype IN ('p', 'u', 'c', 'f') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')",
    ),
    (
        "information_schema",
        "key_column_usage",
        "SELECT pg_catalog.current_database() AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name,
            pg_catalog.current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
            a.attname AS column_name, pg_catalog.array_position(k.conkey, a.attnum) AS ordinal_position,
            CASE WHEN k.contype = 'f' THEN pg_catalog.array_position(k.conkey, a.attnum) END AS position_in_unique_constraint
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
        WHERE k.contype IN ('p', 'u', 'f') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')",
    ),
    (
        "information_schema",
        "constraint_column_usage",
        "SELECT pg_catalog.current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
            a.attname AS column_name, pg_catalog.current_database() AS constraint_catalog,
            kn.nspname AS constraint_schema, k.conname AS constraint_name
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_namespace kn ON kn.oid = k.connamespace
        JOIN pg_catalog.pg_class c ON c.oid = CASE k.contype WHEN 'f' THEN k.confrelid ELSE k.conrelid END
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
            AND (k.contype <> 'f' AND a.attnum = ANY (k.conkey) OR k.contype = 'f' AND a.attnum = ANY (k.confkey))
        WHERE k.contype IN ('p', 'u', 'c', 'f') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')",
    ),
    (
        "information_schema",
        "constraint_table_usage",
        "SELECT pg_catalog.current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
            pg_catalog.current_database() AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE k.contype IN ('p', 'u') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')",
    ),
    (
        "information_schema",
        "check_constraints",
        "SELECT pg_catalog.current_database() AS constraint_catalog, n.nspname AS constraint_schema,
            k.conname AS constraint_name, k.conbin AS check_clause
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
        WHERE k.contype = 'c' AND pg_catalog.has_table_privilege(k.conrelid, 'SELECT')",
    ),
    (
        "information_schema",
        "referential_constraints",
        "SELECT pg_catalog.current_database() AS constraint_catalog, n.nspname AS constraint_schema, k.conname AS constraint_name,
            pg_catalog.current_database() AS unique_constraint_catalog, pn.nspname AS unique_constraint_schema,
            pk.conname AS unique_constraint_name, 'NONE' AS match_option,
            CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
                WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS update_rule,
            CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
                WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END AS delete_rule
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
        LEFT JOIN pg_catalog.pg_constraint pk ON pk.conindid = k.conindid AND pk.contype IN ('p', 'u')
        LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = pk.connamespace
        WHERE k.contype = 'f' AND pg_catalog.has_table_privilege(k.conrelid, 'SELECT')",
    ),
    (
        "information_schema",
        "sequences",
        "SELECT pg_catalog.current_database() AS sequence_catalog, n.nspname AS sequence_schema, c.relname AS sequence_name,
            pg_catalog.format_type(s.seqtypid, NULL) AS data_type,
            CASE s.seqtypid WHEN 21 THEN 16 WHEN 23 THEN 32 ELSE 64 END AS numeric_precision,
            2 AS numeric_precision_radix, 0 AS numeric_scale, s.seqstart AS start_value, s.seqmin AS minimum_value,
            s.seqmax AS maximum_value, s.seqincrement AS increment,
            CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END AS cycle_option
        FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE pg_catalog.has_table_privilege(c.oid, 'SELECT, UPDATE, USAGE')",
    ),
    (
        "pg_catalog",
        "pg_sequences",
        "SELECT n.nspname AS schemaname, c.relname AS sequencename, pg_catalog.pg_get_userbyid(c.relowner) AS sequenceowner,
            s.seqtypid AS data_type, s.seqstart AS start_value, s.seqmin AS min_value, s.seqmax AS max_value,
            s.seqincrement AS increment_by, s.seqcycle AS cycle, s.seqcache AS cache_size
        FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "information_schema",
        "information_schema_catalog_name",
        "SELECT pg_catalog.current_database() AS catalog_name",
    ),
];

/// The query behind a relation, if it is one of these.
pub(super) fn find(schema: &str, name: &str) -> Option<&'static str> {
    VIEWS
        .iter()
        .find(|(of, view, _)| *of == schema && *view == name)
        .map(|(_, _, query)| *query)
}
