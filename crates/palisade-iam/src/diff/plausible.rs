//! A request that AWS could get, in place of one that only shows the difference: `s3:GetObject` on an object, not on the
//! shortest text that a pattern matches.
use super::{Witness, allowing, policies_allow};
use crate::arn_pattern::Widest;
use crate::catalogue::{Catalogue, ResourceType};
use crate::context::Context;
use crate::policy::Policy;

/// So many actions are tried; where none of them will do, few others would.
const TRIED: usize = 200;

/// The first action with a resource of its own that the second side allows and the first does not.
pub(super) fn witness(
    (before, after): (&[&Policy], &[&Policy]),
    actions: &[String],
    shown_on: &str,
    context: &Context,
) -> Option<Witness> {
    let catalogue = Catalogue::embedded().ok()?;
    actions.iter().take(TRIED).find_map(|action| {
        let mut resources = resources(catalogue, action, shown_on).into_iter();
        resources.find_map(|resource| {
            let statement = allowing(after, action, &resource, context)?;
            let is_new = !policies_allow(before, action, &resource, context);
            is_new.then(|| Witness {
                action: action.clone(),
                is_known_action: true,
                resource,
                context: context.clone(),
                allowed_by: statement.label(),
            })
        })
    })
}

/// What an action can be done on: what the difference was shown on if it is of the kind, and an example of each kind.
fn resources(catalogue: &Catalogue, action: &str, shown_on: &str) -> Vec<String> {
    let Some((service, entry)) = catalogue.action(action) else {
        return Vec::new();
    };
    if entry.resources.is_empty() {
        return vec!["*".to_owned()];
    }
    let kinds = entry.resources.iter();
    let mut kinds: Vec<_> = kinds.filter_map(|r| service.resource(r)).collect();
    // the plain ones first: an object before an object behind an access point
    kinds.sort_by_key(|kind| kind.arn.len());
    let mut all = Vec::new();
    let shown = Widest::new(shown_on);
    for kind in kinds {
        // a bucket's wildcard matches an object's name as well
        let is_as_deep = kind.arn.contains('/') == shown_on.contains('/');
        if is_as_deep && Widest::new(&kind.pattern()).overlaps(&shown) {
            all.push(shown_on.to_owned());
        }
        all.push(example(kind));
    }
    all
}

/// An ARN of a kind.
fn example(kind: &ResourceType) -> String {
    kind.filled(|placeholder| match placeholder {
        "Partition" => "aws",
        "Region" => "us-east-1",
        "Account" => "123456789012",
        _ => "example",
    })
}
