//! Evaluating the checks of an item on fresh data.
use crate::commands::connect::{Connection, system_time};
use crate::commands::organization::Entered;
use palisade_catalog::{Catalog, Check, ParameterValue};
use palisade_collect::{Limits, Silent};
use palisade_core::{Finding, Status};
use palisade_fix::{About, Item, ItemCheck, Recheck, RecheckFuture, Verdict};
use palisade_scan::Scanner;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Scans with the checks of one item.
pub struct Fresh<'a> {
    pub connection: &'a Connection,
    /// The other accounts.
    pub others: &'a BTreeMap<String, Entered>,
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
        self.evaluate(item, &item.about(of), &configured(check, of))
            .await
            .unwrap_or(Verdict::Unknown)
    }

    async fn evaluate(&self, item: &Item, about: &About, check: &Arc<Check>) -> Option<Verdict> {
        let mut scanner = Scanner::new(Arc::clone(self.catalog));
        scanner.set_now(system_time());
        let planned = scanner.plan(std::slice::from_ref(check)).ok()?;
        // A row is judged by itself; a query may look at all regions.
        let regions = if check.is_query {
            self.regions.to_vec()
        } else {
            vec![about.region.clone()]
        };
        let account = match self.others.get(&item.account_id) {
            Some(entered) => Some(&entered.target),
            None => self.connection.account().0,
        };
        let targets = self.connection.targets_of(account, &regions);
        let (_never, cancel) = tokio::sync::watch::channel(false);
        let collected = scanner
            .collect(&planned.request(), &targets, &self.limits, &Silent, cancel)
            .await
            .ok()?;
        let all_read = collected.coverage.failures.is_empty() && !collected.coverage.interrupted;
        let scope = palisade_scan::Scope {
            accounts: vec![item.account_id.clone()],
            regions,
        };
        let options = palisade_query::Options::default();
        let assessment = scanner.assess(&planned, collected, scope, options).ok()?;
        let finding = assessment.findings.iter().find(|f| {
            f.account_id.as_ref() == item.account_id
                && f.region.as_ref() == about.region
                && f.resource == about.resource
                && (f.resource.starts_with("arn:") || f.resource_id == about.resource_id)
        });
        let Some(finding) = finding else {
            // The check has nothing to say about the resource any more, such as a key that is not active: that holds
            // only where everything could be looked at.
            let known = |f: &Finding| f.status != Status::Unknown;
            let all_known = all_read && assessment.findings.iter().all(known);
            return all_known.then_some(Verdict::Fixed);
        };
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
