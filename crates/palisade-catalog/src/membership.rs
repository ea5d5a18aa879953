//! Which requirements a check serves. Frameworks name their checks; asked the other way round for every check, that is
//! turned over once.
use crate::{Catalog, Framework, ParameterValue, Requirement};
use std::collections::BTreeMap;

/// Check → the requirements that name it, by framework and then in the framework's order.
#[derive(Debug)]
pub struct Membership<'c>(BTreeMap<&'c str, Vec<(&'c Framework, &'c Requirement)>>);

impl Catalog {
    /// Which requirements each check serves.
    pub fn membership(&self) -> Membership<'_> {
        let mut all: BTreeMap<&str, Vec<(&Framework, &Requirement)>> = BTreeMap::new();
        for framework in self.frameworks.values() {
            for requirement in &framework.requirements {
                for check in &requirement.checks {
                    all.entry(check).or_default().push((framework, requirement));
                }
            }
        }
        Membership(all)
    }

    /// The requirements that a check serves, as `framework/requirement`.
    pub fn requirements_of(&self, check_id: &str) -> Vec<String> {
        self.membership().of(check_id)
    }
}

impl Membership<'_> {
    /// The requirements that a check serves, as `framework/requirement`.
    pub fn of(&self, check_id: &str) -> Vec<String> {
        let named = self.0.get(check_id).into_iter().flatten();
        named.map(|(f, r)| name(f, r)).collect()
    }

    /// Those that it serves when its parameters have these values: those that demand other values are left out. A
    /// variant (`id@name=value`) serves only requirements that demand something.
    pub fn met(&self, check_id: &str, values: &BTreeMap<String, ParameterValue>) -> Vec<String> {
        let (id, is_variant) = match check_id.split_once('@') {
            Some((id, _)) => (id, true),
            None => (check_id, false),
        };
        let met = |requirement: &Requirement| match requirement.params.get(id) {
            None => !is_variant,
            Some(demanded) => demanded.iter().all(|(n, v)| values.get(n) == Some(v)),
        };
        let named = self.0.get(id).into_iter().flatten();
        named
            .filter(|(_, r)| met(r))
            .map(|(f, r)| name(f, r))
            .collect()
    }
}

fn name(framework: &Framework, requirement: &Requirement) -> String {
    format!("{}/{}", framework.id, requirement.id)
}
