//! Tables that say how findings and resources came to be as they are: made from the snapshots of a store.
use crate::error::SqlProblem;
use crate::iam::{DerivedSpec, DerivedType};
use DerivedType::{Boolean, Integer, Text, Time};

/// The tables, in order of name.
pub const STORE_TABLES: &[DerivedSpec] = &[
    DerivedSpec {
        name: "finding_history",
        about: "Findings that failed at least once, over the snapshots of a store: since when, how often, where they stand (`open`, `muted`, `fixed`, `gone`). `unknown` is true when the finding could not be read the last time: it is not fixed then. `age_days` is counted until the last snapshot.",
        columns: &[
            ("check", Text),
            ("account_id", Text),
            ("region", Text),
            ("resource", Text),
            ("resource_id", Text),
            ("resource_type", Text),
            ("severity", Text),
            ("status", Text),
            ("unknown", Boolean),
            ("message", Text),
            ("first_seen", Time),
            ("last_seen", Time),
            ("last_changed", Time),
            ("open_since", Time),
            ("fixed_at", Time),
            ("gone_at", Time),
            ("opened", Integer),
            ("reopened", Integer),
            ("age_days", Integer),
        ],
    },
    DerivedSpec {
        name: "resource_change",
        about: "What happened to resources from one snapshot of a store to the next that looked at them: `first seen` (in the first snapshot that has the table), `added`, `changed`, `removed`, `returned`. `path`, `before` and `after` (JSON) say which value changed, a row a value.",
        columns: &[
            ("resource_type", Text),
            ("account_id", Text),
            ("region", Text),
            ("resource", Text),
            ("at", Time),
            ("snapshot", Text),
            ("change", Text),
            ("path", Text),
            ("before", Text),
            ("after", Text),
        ],
    },
    DerivedSpec {
        name: "resource_history",
        about: "Resources that were seen at least once, over the snapshots of a store: since when, when they changed, whether they are there. `unknown` is true when the resource could not be seen the last time that its table was read: it is not gone then.",
        columns: &[
            ("resource_type", Text),
            ("account_id", Text),
            ("region", Text),
            ("resource", Text),
            ("resource_id", Text),
            ("present", Boolean),
            ("unknown", Boolean),
            ("first_seen", Time),
            ("last_seen", Time),
            ("last_changed", Time),
            ("gone_at", Time),
            ("changes", Integer),
            ("returned", Integer),
        ],
    },
];

/// One of them by name.
pub(crate) fn store_table(name: &str) -> Option<&'static DerivedSpec> {
    STORE_TABLES.iter().find(|d| d.name == name)
}

/// What is said when one is read without a store.
pub(crate) fn needs_a_store(name: &str) -> SqlProblem {
    SqlProblem::new(format!(
        "`{name}` is made from the snapshots of a store, and there is none here"
    ))
    .hint("`palisade query --snapshot all` reads it; not together with tables that are computed from policies")
}
