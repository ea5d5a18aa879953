//! Evaluating the checks of an item on fresh data.
use crate::commands::connect::{Connection, system_time};
use palisade_catalog::{Catalog, Check, ParameterValue};
use palisade_collect::{Limits, Silent};
use palisade_core::Status;
use palisade_fix::{Item, ItemCheck, Recheck, RecheckFuture, Verdict};
use palisade_scan::Scanner;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Scans with the checks of one item.
pub struct Fresh<'a> {
    pub connection: &'a Connection,
    pub catalog: &'a Arc<Catalog>,
    pub limits: Limits,
    /// The plan's regions.
    pub regions: &'a [String],
}

impl Recheck for Fresh<'_> {
    fn recheck<'a>(&'a self, item: &'a Item) -> RecheckFuture<'a> {
        Box::pin(async move {
            let mut verdicts = Vec::new();
            // a step of a playbook has no check: the described state is all there is to say
            for check in item.checks.iter().filter(|c| !c.check.is_empty()) {
                verdicts.push((check.id.clone(), self.verdict(item, check).await));
            }
            verdicts
        })
    }
}

impl Fresh<'_> {
    /// Whatever goes wrong makes it unknown: nothing is fixed until a check says so.
    async fn verdict(&self, item: &Item, of: &ItemCheck) -> Verdict {
        let Some(check) = self.catalog.checks.get(&of.check) else {
            return Verdict::Unknown;
        };
        self.evaluate(item, &configured(check, of))
            .await
            .unwrap_or(Verdict::Unknown)
    }

    async fn evaluate(&self, item: &Item, check: &Arc<Check>) -> Option<Verdict> {
        let mut scanner = Scanner::new(Arc::clone(self.catalog));
        scanner.set_now(system_time());
        let planned = scanner.plan(std::slice::from_ref(check)).ok()?;
        // A row is judged by itself; a query may look at all regions.
        let regions = if check.is_query {
            self.regions.to_vec()
        } else {
            vec![item.region.clone()]
        };
        let targets = self.connection.targets(&regions);
        let (_never, cancel) = tokio::sync::watch::channel(false);
        let collected = scanner
            .collect(&planned.request(), &targets, &self.limits, &Silent, cancel)
            .await
            .ok()?;
        let scope = palisade_scan::Scope {
            accounts: vec![item.account_id.clone()],
            regions,
        };
        let options = palisade_query::Options::default();
        let assessment = scanner.assess(&planned, collected, scope, options).ok()?;
        let finding = assessment.findings.iter().find(|f| {
            f.account_id.as_ref() == item.account_id
                && f.region.as_ref() == item.region
                && f.resource == item.resource
                && (f.resource.starts_with("arn:") || f.resource_id == item.resource_id)
        })?;
        Some(match finding.status {
            Status::Pass | Status::NotApplicable => Verdict::Fixed,
            Status::Fail => Verdict::NotFixed,
            _ => Verdict::Unknown,
        })
    }
}

/// The check with the parameters of the plan.
fn configured(check: &Arc<Check>, of: &ItemCheck) -> Arc<Check> {
    let values: BTreeMap<String, ParameterValue> = of
        .params
        .iter()
        .filter_map(|(name, value)| {
            let known = check.params.get(name)?;
            Some((name.clone(), known.default.fitting(value)?))
        })
        .collect();
    Arc::new(check.with_params(&values))
}
