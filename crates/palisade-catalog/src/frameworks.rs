//! The frameworks of a catalogue: half of all its text, and most commands ask for none of it.
use crate::framework::{self, Framework, KnownChecks};
use crate::load::{in_parallel, read};
use crate::source::SourceFile;
use crate::{Check, Diagnostic};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Frameworks by id. Those that came with the binary are parsed when they are first asked for: tests hold that nothing
/// is wrong with them.
#[derive(Debug, Default, Clone)]
pub struct Frameworks {
    parsed: OnceLock<BTreeMap<String, Arc<Framework>>>,
    unread: Arc<Unread>,
}

/// What frameworks are made from.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// By id.
    pub(crate) files: BTreeMap<String, SourceFile>,
    /// The ids of all checks, also of those that cannot be used.
    pub(crate) ids: BTreeSet<String>,
    /// The checks that can be used.
    pub(crate) checks: BTreeMap<String, Arc<Check>>,
}

impl Unread {
    fn parse(&self) -> (BTreeMap<String, Arc<Framework>>, Vec<Diagnostic>) {
        let known = KnownChecks {
            ids: &self.ids,
            usable: &self.checks,
        };
        let files: Vec<_> = self.files.iter().collect();
        let parsed = in_parallel(&files, |(id, file)| {
            read(file, |reporter, text| {
                framework::parse(reporter, id, text, &known)
            })
        });
        let mut frameworks = BTreeMap::new();
        let mut diagnostics = Vec::new();
        for (framework, problems) in parsed {
            diagnostics.extend(problems);
            if let Some(framework) = framework {
                frameworks.insert(framework.id.clone(), Arc::new(framework));
            }
        }
        (frameworks, diagnostics)
    }
}

impl Frameworks {
    /// To be parsed when they are asked for.
    pub(crate) fn later(unread: Unread) -> Self {
        Self {
            parsed: OnceLock::new(),
            unread: Arc::new(unread),
        }
    }

    /// Parsed now, with what is wrong.
    pub(crate) fn now(unread: &Unread) -> (Self, Vec<Diagnostic>) {
        let (frameworks, diagnostics) = unread.parse();
        let parsed = Self {
            parsed: OnceLock::from(frameworks),
            unread: Arc::default(),
        };
        (parsed, diagnostics)
    }
}

impl Deref for Frameworks {
    type Target = BTreeMap<String, Arc<Framework>>;

    fn deref(&self) -> &Self::Target {
        self.parsed.get_or_init(|| self.unread.parse().0)
    }
}
