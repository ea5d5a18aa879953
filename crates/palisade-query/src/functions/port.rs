//! `port_in_range(from, to, port)`: whether a rule's ports include a port.
use super::scalar::{Answer, Function};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

/// A rule without ports is a rule for all traffic, and -1 stands for all (EC2 API, `IpPermission`: "if the protocol
/// is -1, all ports"). NULL only when `port` is NULL.
pub(crate) fn port_in_range() -> ScalarUDF {
    let integer = DataType::Int64;
    Function::new(
        "port_in_range",
        vec![integer.clone(), integer.clone(), integer],
        DataType::Boolean,
        |row| {
            if row.is_null(2) {
                return Ok(Answer::Boolean(None));
            }
            let bound = |i: usize| {
                (!row.is_null(i))
                    .then(|| row.integer(i))
                    .filter(|n| *n != -1)
            };
            let port = row.integer(2);
            let inside = match (bound(0), bound(1)) {
                (None, None) => true,
                (Some(from), None) => from == port,
                (None, Some(to)) => to == port,
                (Some(from), Some(to)) => from <= port && port <= to,
            };
            Ok(Answer::Boolean(Some(inside)))
        },
    )
    .takes_null()
    .into_udf()
}
