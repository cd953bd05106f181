//! The functions a statement may call, those that need nothing but a signature.
//!
//! This table, [`super::call`] and [`super::aggregate`] are the whole allow-list. Leaving a function
//! out is the default: it must be exact, depend on its arguments alone (or on the transaction's time
//! and seed), and give the same on every machine.

use stele_core::Type;

/// What a parameter of a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Bool,
    Integer,
    BigInt,
    Text,
    Bytea,
    Json,
}

impl Takes {
    pub(super) fn ty(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Integer => Type::Integer,
            Self::BigInt => Type::BigInt,
            Self::Text => Type::Text,
            Self::Bytea => Type::Bytea,
            Self::Json => Type::Json,
        }
    }
}

/// One way to call a function. In `sql`, `{0}` is the first argument.
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) takes: &'static [Takes],
    pub(super) gives: Type,
    pub(super) sql: &'static str,
}

impl Signature {
    /// Whether it may give NULL though no argument is NULL: a regular expression may match nothing.
    pub(super) fn may_give_null(&self) -> bool {
        let found = ["st_regex_part(", "st_regex_find("];
        self.sql == "NULL" || found.iter().any(|function| self.sql.starts_with(function))
    }
}

const fn function(
    name: &'static str,
    takes: &'static [Takes],
    gives: Type,
    sql: &'static str,
) -> Signature {
    Signature {
        name,
        takes,
        gives,
        sql,
    }
}

use Takes::{BigInt, Bool, Bytea, Integer, Json, Text};

pub(super) const SIGNATURES: &[Signature] = &[
    // Text
    function("lower", &[Text], Type::Text, "st_lower({0})"),
    function("upper", &[Text], Type::Text, "st_upper({0})"),
    function("initcap", &[Text], Type::Text, "st_initcap({0})"),
    function("reverse", &[Text], Type::Text, "st_reverse({0})"),
    function("length", &[Text], Type::Integer, "st_length({0})"),
    function("length", &[Bytea], Type::Integer, "st_octets({0})"),
    function("char_length", &[Text], Type::Integer, "st_length({0})"),
    function("character_length", &[Text], Type::Integer, "st_length({0})"),
    function("octet_length", &[Text], Type::Integer, "st_octets({0})"),
    function("octet_length", &[Bytea], Type::Integer, "st_octets({0})"),
    function("bit_length", &[Text], Type::Integer, "(st_octets({0})*8)"),
    function("bit_length", &[Bytea], Type::Integer, "(st_octets({0})*8)"),
    function("ascii", &[Text], Type::Integer, "st_ascii({0})"),
    function("chr", &[Integer], Type::Text, "st_chr({0})"),
    function("substr", &[Text, Integer], Type::Text, "st_substr({0},{1})"),
    function(
        "substr",
        &[Text, Integer, Integer],
        Type::Text,
        "st_substr({0},{1},{2})",
    ),
    function(
        "substr",
        &[Bytea, Integer],
        Type::Bytea,
        "st_substr_bytes({0},{1})",
    ),
    function(
        "substr",
        &[Bytea, Integer, Integer],
        Type::Bytea,
        "st_substr_bytes({0},{1},{2})",
    ),
    // A quoted literal is a pattern, as in PostgreSQL.
    function(
        "substring",
        &[Text, Text],
        Type::Text,
        "st_regex_part({0},{1},'')",
    ),
    function(
        "substring",
        &[Text, Integer],
        Type::Text,
        "st_substr({0},{1})",
    ),
    function(
        "substring",
        &[Text, Integer, Integer],
        Type::Text,
        "st_substr({0},{1},{2})",
    ),
    function(
        "substring",
        &[Bytea, Integer],
        Type::Bytea,
        "st_substr_bytes({0},{1})",
    ),
    function(
        "substring",
        &[Bytea, Integer, Integer],
        Type::Bytea,
        "st_substr_bytes({0},{1},{2})",
    ),
    function("left", &[Text, Integer], Type::Text, "st_left({0},{1})"),
    function("right", &[Text, Integer], Type::Text, "st_right({0},{1})"),
    function("btrim", &[Text], Type::Text, "st_trim({0},' ')"),
    function("btrim", &[Text, Text], Type::Text, "st_trim({0},{1})"),
    function("ltrim", &[Text], Type::Text, "st_trim_left({0},' ')"),
    function("ltrim", &[Text, Text], Type::Text, "st_trim_left({0},{1})"),
    function("rtrim", &[Text], Type::Text, "st_trim_right({0},' ')"),
    function("rtrim", &[Text, Text], Type::Text, "st_trim_right({0},{1})"),
    function(
        "lpad",
        &[Text, Integer],
        Type::Text,
        "st_pad_left({0},{1},' ')",
    ),
    function(
        "lpad",
        &[Text, Integer, Text],
        Type::Text,
        "st_pad_left({0},{1},{2})",
    ),
    function(
        "rpad",
        &[Text, Integer],
        Type::Text,
        "st_pad_right({0},{1},' ')",
    ),
    function(
        "rpad",
        &[Text, Integer, Text],
        Type::Text,
        "st_pad_right({0},{1},{2})",
    ),
    function("repeat", &[Text, Integer], Type::Text, "st_repeat({0},{1})"),
    function(
        "replace",
        &[Text, Text, Text],
        Type::Text,
        "st_replace({0},{1},{2})",
    ),
    function(
        "translate",
        &[Text, Text, Text],
        Type::Text,
        "st_translate({0},{1},{2})",
    ),
    function(
        "position",
        &[Text, Text],
        Type::Integer,
        "st_position({0},{1})",
    ),
    function(
        "strpos",
        &[Text, Text],
        Type::Integer,
        "st_position({0},{1})",
    ),
    function(
        "starts_with",
        &[Text, Text],
        Type::Bool,
        "st_starts_with({0},{1})",
    ),
    function(
        "split_part",
        &[Text, Text, Integer],
        Type::Text,
        "st_split_part({0},{1},{2})",
    ),
    // Numbers; those of NUMERIC are in `call`, where scales are known.
    function(
        "mod",
        &[Integer, Integer],
        Type::Integer,
        "st_int_mod({0},{1},32)",
    ),
    function(
        "mod",
        &[BigInt, BigInt],
        Type::BigInt,
        "st_int_mod({0},{1},64)",
    ),
    function("quote_ident", &[Text], Type::Text, "st_quote_ident({0})"),
    function(
        "overlay",
        &[Text, Text, Integer],
        Type::Text,
        "st_overlay({0},{1},{2},st_length({1}))",
    ),
    function(
        "overlay",
        &[Text, Text, Integer, Integer],
        Type::Text,
        "st_overlay({0},{1},{2},{3})",
    ),
    // Regular expressions
    function(
        "regexp_like",
        &[Text, Text],
        Type::Bool,
        "st_regex_like({0},{1},'')",
    ),
    function(
        "regexp_like",
        &[Text, Text, Text],
        Type::Bool,
        "st_regex_like({0},{1},{2})",
    ),
    function(
        "regexp_count",
        &[Text, Text],
        Type::Integer,
        "st_regex_count({0},{1},'')",
    ),
    function(
        "regexp_substr",
        &[Text, Text],
        Type::Text,
        "st_regex_find({0},{1},'')",
    ),
    function(
        "regexp_replace",
        &[Text, Text, Text],
        Type::Text,
        "st_regex_replace({0},{1},'',{2})",
    ),
    function(
        "regexp_replace",
        &[Text, Text, Text, Text],
        Type::Text,
        "st_regex_replace({0},{1},{3},{2})",
    ),
    // Bytes
    function("encode", &[Bytea, Text], Type::Text, "st_encode({0},{1})"),
    function("decode", &[Text, Text], Type::Bytea, "st_decode({0},{1})"),
    function("md5", &[Text], Type::Text, "st_md5({0})"),
    function("md5", &[Bytea], Type::Text, "st_md5({0})"),
    function("sha256", &[Bytea], Type::Bytea, "st_sha256({0})"),
    function("to_hex", &[Integer], Type::Text, "st_to_hex({0},32)"),
    function("to_hex", &[BigInt], Type::Text, "st_to_hex({0},64)"),
    // JSON
    function("json_typeof", &[Json], Type::Text, "st_json_typeof({0})"),
    function(
        "json_array_length",
        &[Json],
        Type::Integer,
        "st_json_array_length({0})",
    ),
    // Assertions
    function(
        "stele_assert",
        &[Bool],
        Type::Bool,
        "st_assert({0},'assertion failed')",
    ),
    function(
        "stele_assert",
        &[Bool, Text],
        Type::Bool,
        "st_assert({0},{1})",
    ),
    // The ledger about itself
    function("stele_state_root", &[], Type::Bytea, "st_state_root()"),
    // Identity of the server, as clients ask for it
    function("pg_backend_pid", &[], Type::Integer, "0"),
    function("pg_is_in_recovery", &[], Type::Bool, "0"),
    function("txid_current_if_assigned", &[], Type::BigInt, "NULL"),
];

/// Functions left out on purpose, and what to do instead.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("sqrt", INEXACT),
    ("cbrt", INEXACT),
    ("exp", INEXACT),
    ("ln", INEXACT),
    ("log", INEXACT),
    ("log10", INEXACT),
    ("power", INEXACT),
    ("pow", INEXACT),
    ("sin", INEXACT),
    ("cos", INEXACT),
    ("tan", INEXACT),
    ("atan", INEXACT),
    ("atan2", INEXACT),
    ("pi", INEXACT),
    ("clock_timestamp", TIME),
    ("timeofday", TIME),
    ("pg_sleep", "Nothing waits inside a transaction."),
    ("jsonb_agg", "Use json_agg: JSON keeps its text as given."),
    (
        "jsonb_build_object",
        "Use json_build_object: JSON keeps its text as given.",
    ),
    ("regexp_match", ARRAYS),
    ("regexp_matches", ARRAYS),
    ("regexp_split_to_array", ARRAYS),
    ("string_to_array", ARRAYS),
    ("to_number", "Use CAST."),
    ("mode", ORDERED),
    ("percentile_cont", INEXACT),
    ("percentile_disc", ORDERED),
    ("stddev", INEXACT),
    ("variance", INEXACT),
];

const ARRAYS: &str = "It gives an array: use regexp_substr, regexp_replace, substring (x FROM pattern) or split_part.";
const ORDERED: &str = "Use row_number() over the order in a sub-select.";
const INEXACT: &str =
    "Its result would differ between machines: compute it in the client and store the result.";
const TIME: &str = "Use now(): the time the transaction carries, equal on every node.";
