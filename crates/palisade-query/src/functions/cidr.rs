//! `cidr_contains(network, other)` and `cidr_is_public(network)`.
use super::scalar::{Answer, Function};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use palisade_iam::Cidr;

/// Whether every address of the second network is in the first; false between IPv4 and IPv6.
pub(crate) fn cidr_contains() -> ScalarUDF {
    Function::new(
        "cidr_contains",
        vec![DataType::Utf8, DataType::Utf8],
        DataType::Boolean,
        |row| {
            let (outer, inner) = (parse(row.text(0))?, parse(row.text(1))?);
            Ok(Answer::Boolean(Some(outer.contains(&inner))))
        },
    )
    .into_udf()
}

/// Whether some address of the network is routed on the internet: everything that does not lie within one of the
/// ranges for private, shared, link-local, loopback and documentation use.
pub(crate) fn cidr_is_public() -> ScalarUDF {
    Function::new(
        "cidr_is_public",
        vec![DataType::Utf8],
        DataType::Boolean,
        |row| Ok(Answer::Boolean(Some(!parse(row.text(0))?.is_private()))),
    )
    .into_udf()
}

fn parse(text: &str) -> Result<Cidr, String> {
    Cidr::parse(text).ok_or_else(|| format!("`{text}` is not a network such as `10.0.0.0/8`"))
}
