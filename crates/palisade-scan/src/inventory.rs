//! What exists where: every table that lists resources with an ARN, each resource once.
use palisade_catalog::{Catalog, TableSpec};
use palisade_collect::Request;
use std::fmt::Write;

/// The tables that an inventory reads: those that list things which have an ARN.
fn tables<'a>(catalog: &'a Catalog, services: &'a [String]) -> impl Iterator<Item = &'a TableSpec> {
    catalog.tables.values().map(AsRef::as_ref).filter(|table| {
        table.arn.is_some()
            && table.list.as_ref().is_some_and(|list| list.csv.is_none())
            && (services.is_empty() || services.contains(&table.service))
    })
}

/// What must be collected: the identity of every resource, nothing else.
pub fn request(catalog: &Catalog, services: &[String]) -> Request {
    let mut request = Request::default();
    for table in tables(catalog, services) {
        request.add(&table.name, []);
    }
    request
}

/// The SQL of the inventory: counts by service, type and region, or a list. Where two tables list the same
/// resource (`ec2_snapshot`, `ec2_public_snapshot`), the one with the shorter name has it.
pub fn sql(catalog: &Catalog, services: &[String], list: bool) -> String {
    let mut all = String::new();
    for table in tables(catalog, services) {
        let separator = if all.is_empty() { "" } else { " UNION ALL " };
        let (name, service, id) = (&table.name, &table.service, &table.id);
        // writing to a string cannot fail
        let _ = write!(
            all,
            "{separator}SELECT '{service}' AS service, '{name}' AS type, account_id, region, CAST({id} AS VARCHAR) AS id, arn FROM {name}"
        );
    }
    let each = format!(
        "SELECT *, row_number() OVER (PARTITION BY account_id, coalesce(arn, id) ORDER BY length(type), type, region) AS n FROM ({all})"
    );
    if list {
        format!(
            "SELECT service, type, account_id, region, id, arn FROM ({each}) WHERE n = 1 ORDER BY service, type, account_id, region, id, arn"
        )
    } else {
        format!(
            "SELECT service, type, account_id, region, count(*) AS resources FROM ({each}) WHERE n = 1 GROUP BY service, type, account_id, region ORDER BY service, type, account_id, region"
        )
    }
}
