//! The SQL that checks are written in.
use datafusion::sql::sqlparser::dialect::{Dialect, DuckDbDialect};

/// DuckDB's syntax (lambdas, `[1, 2]`, `{'a': 1}`, FROM first), except that `f(a = b)` is a comparison as everywhere
/// else in SQL and not a named argument.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CheckDialect;

macro_rules! as_duckdb {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool { DuckDbDialect.$name() })*
    };
}

impl Dialect for CheckDialect {
    fn is_identifier_start(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_start(ch)
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_part(ch)
    }
    fn supports_named_fn_args_with_eq_operator(&self) -> bool {
        false
    }
    as_duckdb!(
        supports_filter_during_aggregation,
        supports_group_by_expr,
        supports_bitwise_shift_operators,
        supports_dictionary_syntax,
        support_map_literal_syntax,
        supports_lambda_functions,
        allow_extract_single_quotes,
        supports_array_typedef_with_brackets,
        supports_from_first_select,
        supports_order_by_all,
        supports_select_wildcard_exclude,
        supports_notnull_operator,
        supports_select_wildcard_replace,
        supports_comma_separated_trim,
    );
}
