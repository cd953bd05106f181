//! PostgreSQL's dialect, read as PostgreSQL reads it where the parser does not, and SQL:2011's
//! `FOR SYSTEM_TIME AS OF`, which PostgreSQL does not have.
//!
//! Table versions are on only for statements that say SYSTEM_TIME, because with them the parser reads a few
//! other words behind a table's name in its own way (`AT`, `CHANGES`) that PostgreSQL takes as aliases.

use std::any::TypeId;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// PostgreSQL's dialect, with or without table versions.
#[derive(Debug)]
pub(super) struct Postgres {
    base: PostgreSqlDialect,
    versions: bool,
}

impl Postgres {
    pub(super) fn new(versions: bool) -> Self {
        Self {
            base: PostgreSqlDialect {},
            versions,
        }
    }
}

/// Answers as PostgreSQL's dialect does.
macro_rules! same {
    ($($name:ident($($argument:ident: $ty:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self $(, $argument: $ty)*) -> $result {
            self.base.$name($($argument),*)
        })*
    };
}

impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        self.base.dialect()
    }

    fn supports_table_versioning(&self) -> bool {
        self.versions
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let word = |place: usize| match &parser.peek_nth_token_ref(place).token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        let negated = word(0) == Keyword::NOT;
        let operator = usize::from(negated);
        let next = |place: usize| &parser.peek_nth_token_ref(operator + place).token;
        match word(operator) {
            // `IN ((SELECT …)::type, …)` is a list.
            Keyword::IN if *next(1) == Token::LParen && *next(2) == Token::LParen => {
                Some(in_parentheses(parser, expr, negated))
            }
            _ if is_null_test(parser) => {
                parser.advance_token();
                Some(Ok(Expr::IsNull(Box::new(expr.clone()))))
            }
            _ => None,
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::Word(_) if is_null_test(parser) => Some(Ok(self.prec_value(Precedence::Is))),
            _ => self.base.get_next_precedence(parser),
        }
    }

    same! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        supports_unicode_string_literal() -> bool;
        is_reserved_for_identifier(kw: Keyword) -> bool;
        is_table_alias(kw: &Keyword, parser: &mut Parser) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        supports_alter_user_as_alter_role() -> bool;
        prec_value(prec: Precedence) -> u8;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_exclude_constraint() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_named_fn_args_with_expr_name() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_order_by_using_operator() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_left_associative_joins_without_parens() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_aliased_function_args() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}

/// Whether `ISNULL` comes, which the parser has no word for.
fn is_null_test(parser: &Parser) -> bool {
    matches!(
        &parser.peek_token_ref().token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull")
    )
}

fn in_parentheses(parser: &mut Parser, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    for _ in 0..2 + usize::from(negated) {
        parser.advance_token();
    }
    let query = parser.maybe_parse(|parser| {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        Ok(query)
    })?;
    let expr = Box::new(expr.clone());
    if let Some(subquery) = query {
        return Ok(Expr::InSubquery {
            expr,
            subquery,
            negated,
        });
    }
    let list = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::InList {
        expr,
        list,
        negated,
    })
}
