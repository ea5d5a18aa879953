//! Text → syntax tree: parameters become literals, `x.field` of lambda parameters works, and what checks must not use
//! is refused with its place.
use crate::dialect::CheckDialect;
use crate::error::SqlProblem;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, DataType, Expr, Ident, ObjectNamePart, Query, SelectItem, SetExpr, Spanned,
    Statement, Subscript, TimezoneInfo, TypedString, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, Tokenizer};
use palisade_catalog::ParameterValue;
use palisade_core::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Functions whose value does not follow from the data and `$now`. They are not registered either.
const UNSTEADY: &[&str] = &[
    "now",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "today",
    "random",
    "uuid",
    "version",
];

/// What `$name` stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// `$now`.
    pub now: Timestamp,
    /// Other names.
    pub params: &'a BTreeMap<String, ParameterValue>,
}

/// Deeper nesting is refused: the parser and the planner are recursive.
const DEPTH: usize = 60;

/// Longer SQL is refused, in tokens: `a AND a AND …` nests as deep as it is long.
const LENGTH: usize = 6000;

/// One expression.
pub(crate) fn parse_expression(text: &str, values: Values<'_>) -> Result<Expr, SqlProblem> {
    let mut parser = parser(text)?;
    let mut expr = parser.parse_expr().map_err(|e| syntax(&e))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let problem = SqlProblem::new(format!(
            "`{}` is not expected after the expression",
            next.token
        ));
        return Err(problem.at(next.span.start.line, next.span.start.column));
    }
    walk(&mut expr, values, false)?;
    Ok(expr)
}

/// One SELECT, also with WITH before it.
pub(crate) fn parse_query(text: &str, values: Values<'_>) -> Result<Box<Query>, SqlProblem> {
    let mut parser = parser(text)?;
    let mut statements = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token().token == Token::EOF {
            break;
        }
        statements.push(parser.parse_statement().map_err(|e| syntax(&e))?);
    }
    let mut statements = statements.into_iter();
    let mut query = match (statements.next(), statements.next()) {
        (Some(Statement::Query(query)), None) => query,
        (Some(_), None) => {
            return Err(SqlProblem::new(
                "only SELECT is possible: nothing can be changed",
            ));
        }
        (Some(_), Some(_)) => return Err(SqlProblem::new("one statement at a time")),
        (None, _) => return Err(SqlProblem::new("there is no SQL")),
    };
    walk(&mut query, values, true)?;
    Ok(query)
}

/// The place of a `*` in the output of a query.
pub(crate) fn top_wildcard(query: &Query) -> Option<Span> {
    fn of(body: &SetExpr) -> Option<Span> {
        match body {
            SetExpr::Select(select) => select.projection.iter().find_map(|item| match item {
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Some(item.span()),
                _ => None,
            }),
            SetExpr::Query(query) => of(&query.body),
            SetExpr::SetOperation { left, right, .. } => of(left).or_else(|| of(right)),
            _ => None,
        }
    }
    of(&query.body)
}

/// The place of the first name equal to `name` in the tree.
pub(crate) fn place_of(tree: &mut impl VisitMut, name: &str) -> Option<(u64, u64)> {
    struct Find<'n>(&'n str);
    impl Find<'_> {
        fn check(&self, ident: &Ident) -> ControlFlow<(u64, u64)> {
            if ident.value == self.0 && ident.span.start.line > 0 {
                ControlFlow::Break((ident.span.start.line, ident.span.start.column))
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    impl VisitorMut for Find<'_> {
        type Break = (u64, u64);
        fn pre_visit_relation(
            &mut self,
            relation: &mut datafusion::sql::sqlparser::ast::ObjectName,
        ) -> ControlFlow<Self::Break> {
            relation
                .0
                .iter()
                .filter_map(ObjectNamePart::as_ident)
                .try_for_each(|i| self.check(i))
        }
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
            match expr {
                Expr::Identifier(ident) => self.check(ident),
                Expr::CompoundIdentifier(idents) => idents.iter().try_for_each(|i| self.check(i)),
                Expr::Function(f) => f
                    .name
                    .0
                    .iter()
                    .filter_map(ObjectNamePart::as_ident)
                    .try_for_each(|i| self.check(i)),
                Expr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(text),
                    span,
                }) if text == self.0 && span.start.line > 0 => {
                    ControlFlow::Break((span.start.line, span.start.column))
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match tree.visit(&mut Find(name)) {
        ControlFlow::Break(place) => Some(place),
        ControlFlow::Continue(()) => None,
    }
}

fn parser(text: &str) -> Result<Parser<'static>, SqlProblem> {
    static DIALECT: CheckDialect = CheckDialect;
    let tokens = Tokenizer::new(&DIALECT, text)
        .tokenize_with_location()
        .map_err(|e| syntax(&e.into()))?;
    let long = tokens
        .iter()
        .filter(|t| !matches!(t.token, Token::Whitespace(_)));
    if long.count() > LENGTH {
        return Err(SqlProblem::new(format!(
            "this SQL is too long: {LENGTH} words and signs are possible"
        )));
    }
    Ok(Parser::new(&DIALECT)
        .with_recursion_limit(DEPTH)
        .with_tokens_with_locations(tokens))
}

/// sqlparser writes the place into the message: `… at Line: 1, Column: 20`.
fn syntax(error: &ParserError) -> SqlProblem {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply",
    };
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return SqlProblem::new(format!("this is not SQL: {}", lower(text)));
    };
    let mut numbers = place
        .split(", Column: ")
        .map(|n| n.trim().parse::<u64>().unwrap_or(0));
    let (line, column) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    SqlProblem::new(format!("this is not SQL: {}", lower(message))).at(line, column)
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

fn walk(tree: &mut impl VisitMut, values: Values<'_>, queries: bool) -> Result<(), SqlProblem> {
    let mut walker = Walker {
        values,
        queries,
        lambda: Vec::new(),
    };
    match tree.visit(&mut walker) {
        ControlFlow::Break(problem) => Err(problem),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Walker<'a> {
    values: Values<'a>,
    /// SELECT is possible inside.
    queries: bool,
    /// Parameters of the lambdas that enclose the expression, innermost last.
    lambda: Vec<Vec<String>>,
}

impl Walker<'_> {
    fn value(&self, placeholder: &str, span: Span) -> Result<Expr, SqlProblem> {
        let name = placeholder.trim_start_matches('$');
        if name == "now" {
            let value = Value::SingleQuotedString(self.values.now.to_string()).with_span(span);
            return Ok(Expr::TypedString(TypedString {
                data_type: DataType::Timestamp(Some(6), TimezoneInfo::Tz),
                value,
                uses_odbc_syntax: false,
            }));
        }
        let Some(value) = self.values.params.get(name) else {
            let mut known: Vec<String> = self
                .values
                .params
                .keys()
                .map(|k| format!("`${k}`"))
                .collect();
            known.push("`$now`".to_owned());
            return Err(SqlProblem::new(format!("no parameter `{placeholder}`"))
                .at(span.start.line, span.start.column)
                .hint(format!("there is {}", known.join(", "))));
        };
        let text = |t: &String| Expr::Value(Value::SingleQuotedString(t.clone()).with_span(span));
        let integer = |n: &i64| Expr::Value(Value::Number(n.to_string(), false).with_span(span));
        let list = |elem: Vec<Expr>| Expr::Array(Array { elem, named: false });
        Ok(match value {
            ParameterValue::Integer(n) => integer(n),
            ParameterValue::Text(t) => text(t),
            ParameterValue::Boolean(b) => Expr::Value(Value::Boolean(*b).with_span(span)),
            ParameterValue::Integers(items) => list(items.iter().map(integer).collect()),
            ParameterValue::Texts(items) => list(items.iter().map(text).collect()),
        })
    }
}

impl VisitorMut for Walker<'_> {
    type Break = SqlProblem;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlProblem> {
        if self.queries {
            return ControlFlow::Continue(());
        }
        let span = query.span();
        ControlFlow::Break(
            SqlProblem::new("a predicate cannot look into other tables")
                .at(span.start.line, span.start.column)
                .hint("write a full query: SELECT account_id, region, arn, id, … AS pass FROM …"),
        )
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlProblem> {
        match expr {
            Expr::Value(ValueWithSpan {
                value: Value::Placeholder(name),
                span,
            }) => match self.value(name, *span) {
                Ok(value) => *expr = value,
                Err(problem) => return ControlFlow::Break(problem),
            },
            Expr::Lambda(lambda) => {
                let names = lambda.params.iter().map(|p| p.name.value.clone()).collect();
                self.lambda.push(names);
            }
            Expr::CompoundIdentifier(idents) => {
                let of_lambda = |i: &Ident| self.lambda.iter().flatten().any(|p| *p == i.value);
                if let [first, fields @ ..] = idents.as_slice()
                    && of_lambda(first)
                {
                    let step = |i: &Ident| {
                        let name = Value::SingleQuotedString(i.value.clone()).with_span(i.span);
                        AccessExpr::Subscript(Subscript::Index {
                            index: Expr::Value(name),
                        })
                    };
                    *expr = Expr::CompoundFieldAccess {
                        root: Box::new(Expr::Identifier(first.clone())),
                        access_chain: fields.iter().map(step).collect(),
                    };
                }
            }
            Expr::Function(function) => {
                if let Some(ident) = function.name.0.last().and_then(ObjectNamePart::as_ident)
                    && UNSTEADY
                        .iter()
                        .any(|name| ident.value.eq_ignore_ascii_case(name))
                {
                    let problem = SqlProblem::new(format!(
                        "`{}` gives another value in every run",
                        ident.value
                    ));
                    let start = ident.span.start;
                    return ControlFlow::Break(
                        problem
                            .at(start.line, start.column)
                            .hint("`$now` is the time of the scan"),
                    );
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlProblem> {
        if matches!(expr, Expr::Lambda(_)) {
            self.lambda.pop();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str) -> Result<String, SqlProblem> {
        let params = BTreeMap::from([
            ("days".to_owned(), ParameterValue::Integer(-3)),
            ("ports".to_owned(), ParameterValue::Integers(vec![22, 80])),
            ("word".to_owned(), ParameterValue::Text("it's".into())),
        ]);
        let values = Values {
            now: Timestamp::from_micros(0),
            params: &params,
        };
        parse_expression(text, values).map(|e| e.to_string())
    }

    #[test]
    fn parameters_become_literals() {
        assert_eq!(expression("a > $days").unwrap(), "a > -3");
        assert_eq!(
            expression("array_has($ports, a)").unwrap(),
            "array_has([22, 80], a)"
        );
        assert_eq!(
            expression("a = $word AND b = '$word'").unwrap(),
            "a = 'it''s' AND b = '$word'"
        );
        assert!(
            expression("$now")
                .unwrap()
                .contains("'1970-01-01T00:00:00Z'")
        );
        let problem = expression("a >\n $nope").unwrap_err();
        assert_eq!((problem.line, problem.column), (2, 2));
        assert!(problem.hint.unwrap().contains("`$ports`"));
    }

    #[test]
    fn fields_of_lambda_parameters() {
        let nested = expression(
            "any_match(l, p -> any_match(p.ranges, r -> r.cidr = p.x.y AND t.x = 1)) AND p.a",
        )
        .unwrap();
        assert_eq!(
            nested,
            "any_match(l, p -> any_match(p['ranges'], r -> r['cidr'] = p['x']['y'] AND t.x = 1)) AND p.a"
        );
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "now() > a",
            "current_date",
            "a > CURRENT_TIMESTAMP",
            "random() > 1",
            "a; b",
            "a b c",
            "",
            "a IN (SELECT 1)",
        ] {
            assert!(expression(text).is_err(), "{text}");
        }
        let params = BTreeMap::new();
        let values = Values {
            now: Timestamp::from_micros(0),
            params: &params,
        };
        for text in [
            "DROP TABLE a",
            "SELECT 1; SELECT 2",
            "",
            "COPY a TO 'b'",
            "SET a = 1",
            "INSERT INTO a VALUES (1)",
            "SELECT now()",
        ] {
            assert!(parse_query(text, values).is_err(), "{text}");
        }
        let query = parse_query("SELECT a, b.* FROM b", values).unwrap();
        assert!(top_wildcard(&query).is_some());
        let query = parse_query("WITH x AS (SELECT * FROM y) SELECT a FROM x;", values).unwrap();
        assert!(top_wildcard(&query).is_none());
    }

    #[test]
    fn syntax_errors_have_a_place() {
        let problem = expression("a = = 1").unwrap_err();
        assert_eq!((problem.line, problem.column), (1, 5));
        assert!(expression(&"(".repeat(5000)).is_err());
        assert!(
            expression(&"a AND ".repeat(5000))
                .unwrap_err()
                .message
                .contains("too long")
        );
    }
}
