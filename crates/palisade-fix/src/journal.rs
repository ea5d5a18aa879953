//! The journal of a run: one JSON line an event, on disk before and after every call. It is the audit log, and what a
//! run is resumed and taken back from.
use crate::{Call, FixError, Plan, Verdict};
use palisade_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Whose credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The caller (`sts:GetCallerIdentity`).
    pub arn: String,
    /// The caller's account.
    pub account_id: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins, or goes on after it was broken off.
    Run {
        /// When.
        time: Timestamp,
        /// The run's name.
        run: String,
        /// Who.
        who: Who,
        /// The plan; only the first time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<Plan>>,
        /// True when it goes on.
        #[serde(default)]
        resumed: bool,
    },
    /// A call is about to be made.
    Call {
        /// When.
        time: Timestamp,
        /// The item's number.
        item: usize,
        /// The step in the item, from 0.
        step: usize,
        /// True when it takes a change back.
        undo: bool,
        /// What is sent.
        call: Call,
        /// The state that was read right before.
        before: Map<String, Json>,
    },
    /// A call ended.
    Answer {
        /// When.
        time: Timestamp,
        /// The item's number.
        item: usize,
        /// The step in the item, from 0.
        step: usize,
        /// True when it takes a change back.
        undo: bool,
        /// What is known of it.
        outcome: CallOutcome,
        /// AWS's error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The state that was read after a call.
    State {
        /// When.
        time: Timestamp,
        /// The item's number.
        item: usize,
        /// The step in the item, from 0.
        step: usize,
        /// True when it was read after taking a change back.
        undo: bool,
        /// By the attribute's name; absent when it could not be read.
        after: Option<Map<String, Json>>,
        /// Values that wait and will hold later, by the attribute's name.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        pending: Map<String, Json>,
        /// Whether it is what was wanted.
        reached: bool,
        /// Why it could not be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// An item is done with.
    Item {
        /// When.
        time: Timestamp,
        /// The item's number.
        item: usize,
        /// True when it was taken back.
        undo: bool,
        /// What came of it.
        outcome: crate::Outcome,
        /// Why, where it is not what was wanted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What the checks say now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        verdicts: Vec<(String, Verdict)>,
    },
    /// Taking back begins.
    Undo {
        /// When.
        time: Timestamp,
        /// Who.
        who: Who,
    },
    /// The run, or taking it back, ended by itself.
    End {
        /// When.
        time: Timestamp,
        /// True at the end of taking back.
        undo: bool,
        /// True when it ended before all items were done with.
        stopped: bool,
    },
}

/// What is known of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// AWS answered that it was done.
    Made,
    /// AWS answered that it was not done.
    Refused,
    /// There was no answer, or one that leaves it open.
    Unknown,
}

/// A journal that is being written. One process at a time.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    name: String,
}

/// A journal as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The run's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The plan.
    pub plan: Plan,
    /// Everything that happened, in order.
    pub events: Vec<Event>,
}

impl Journal {
    /// Begins a run under a name that is free in the folder, which is made when it is missing.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn begin(folder: &Path, plan: &Plan, who: &Who, now: Timestamp) -> Result<Self, FixError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| FixError::Journal { what, path, source }
        };
        make_folder(folder).map_err(failed("make", folder))?;
        let stamp: String = now
            .to_string()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric())
            .collect();
        let short: String = plan.hash.chars().take(8).collect();
        let mut attempt = 1;
        let (file, path, name) = loop {
            let name = match attempt {
                1 => format!("{stamp}-{short}"),
                n => format!("{stamp}-{short}-{n}"),
            };
            let path = folder.join(format!("{name}.jsonl"));
            let mut options = OpenOptions::new();
            options.read(true).append(true).create_new(true);
            only_for_me(&mut options);
            match options.open(&path) {
                Ok(file) => break (file, path, name),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && attempt < 100 => {
                    attempt += 1;
                }
                Err(e) => return Err(failed("make", &path)(e)),
            }
        };
        lock(&file, &path)?;
        // The name of the file must survive a crash as its content does.
        sync_folder(folder).map_err(failed("make", folder))?;
        let mut journal = Self { file, path, name };
        let run = journal.name.clone();
        journal.write(&Event::Run {
            time: now,
            run,
            who: who.clone(),
            plan: Some(Box::new(plan.clone())),
            resumed: false,
        })?;
        Ok(journal)
    }

    /// Opens a run to go on with it or to take it back. A last line that a crash cut off is removed: what it would have
    /// said had not happened.
    ///
    /// # Errors
    /// When the file cannot be opened, or another process has it.
    pub fn open(run: &Run) -> Result<Self, FixError> {
        let failed = |source| FixError::Journal {
            what: "open",
            path: run.path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&run.path)
            .map_err(failed)?;
        lock(&file, &run.path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let whole = text
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            file,
            path: run.path.clone(),
            name: run.name.clone(),
        })
    }

    /// Says that the run goes on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn resume(&mut self, who: &Who, now: Timestamp) -> Result<(), FixError> {
        let run = self.name.clone();
        self.write(&Event::Run {
            time: now,
            run,
            who: who.clone(),
            plan: None,
            resumed: true,
        })
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an event; it is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: nothing may be called then.
    pub(crate) fn write(&mut self, event: &Event) -> Result<(), FixError> {
        let failed = |source| FixError::Journal {
            what: "write",
            path: self.path.clone(),
            source,
        };
        let mut line = serde_json::to_vec(event).map_err(|e| failed(std::io::Error::other(e)))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(failed)
    }
}

/// What the journal says about one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StepLog {
    /// The call was about to be made.
    pub(crate) started: bool,
    /// What is known of it.
    pub(crate) outcome: Option<CallOutcome>,
    /// The state that was read after it.
    pub(crate) after: Option<Map<String, Json>>,
    /// Values that waited then.
    pub(crate) pending: Map<String, Json>,
    /// Whether that was what was wanted.
    pub(crate) reached: bool,
    /// A call before this one may have changed something.
    pub(crate) earlier: bool,
    /// It was taken back, and the state says so.
    pub(crate) undone: bool,
}

impl StepLog {
    /// True when the call may have changed something that is still changed.
    pub(crate) fn may_stand(&self) -> bool {
        let this = self.outcome != Some(CallOutcome::Refused);
        self.started && !self.undone && (this || self.earlier)
    }
}

impl Run {
    /// What is known of a step.
    pub(crate) fn step(&self, number: usize, index: usize) -> StepLog {
        let mut log = StepLog::default();
        for event in &self.events {
            match event {
                Event::Call {
                    item,
                    step,
                    undo: false,
                    ..
                } if (*item, *step) == (number, index) => {
                    log = StepLog {
                        started: true,
                        earlier: log.may_stand(),
                        ..StepLog::default()
                    };
                }
                Event::Answer {
                    item,
                    step,
                    undo: false,
                    outcome,
                    ..
                } if (*item, *step) == (number, index) => log.outcome = Some(*outcome),
                Event::State {
                    item,
                    step,
                    undo,
                    after,
                    pending,
                    reached,
                    ..
                } if (*item, *step) == (number, index) => {
                    if *undo {
                        log.undone = *reached;
                    } else {
                        log.after.clone_from(after);
                        log.pending.clone_from(pending);
                        log.reached = *reached;
                    }
                }
                _ => {}
            }
        }
        log
    }

    /// What came of an item, if it is done with.
    pub fn outcome(&self, number: usize) -> Option<crate::Outcome> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Item {
                item,
                undo: false,
                outcome,
                ..
            } if *item == number => Some(*outcome),
            _ => None,
        })
    }

    /// True when the run ended by itself.
    pub fn is_ended(&self) -> bool {
        let last = self
            .events
            .iter()
            .rev()
            .find(|e| matches!(e, Event::Run { .. } | Event::End { undo: false, .. }));
        matches!(last, Some(Event::End { .. }))
    }

    /// Who began it.
    pub fn who(&self) -> Option<&Who> {
        self.events.iter().find_map(|e| match e {
            Event::Run { who, .. } => Some(who),
            _ => None,
        })
    }
}

/// The journal holds states of resources: nobody else needs to read it.
fn only_for_me(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Makes a folder with those above it, so that a crash does not lose them.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_folder(above)?;
    match std::fs::create_dir(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    sync_folder(above)
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // elsewhere a folder is no file that can be opened
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn lock(file: &File, path: &Path) -> Result<(), FixError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(FixError::Locked(path.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(FixError::Journal {
            what: "lock",
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads the journal of a run, by its name or the beginning of it.
///
/// # Errors
/// When there is no such run, or its journal does not read.
pub fn read_run(folder: &Path, name: &str) -> Result<Run, FixError> {
    let none = || FixError::NoRun {
        name: name.to_owned(),
        folder: folder.to_owned(),
    };
    let all = names(folder)?;
    let exact = all.iter().find(|n| *n == name);
    let mut beginning = all.iter().filter(|n| n.starts_with(name));
    let found = match (exact, beginning.next(), beginning.next()) {
        (Some(exact), _, _) => exact,
        (None, Some(only), None) => only,
        _ => return Err(none()),
    };
    parse(&folder.join(format!("{found}.jsonl")), found)
}

/// All runs of a folder, the oldest first; in place of a run that does not read, why.
///
/// # Errors
/// When the folder cannot be listed.
pub fn list_runs(folder: &Path) -> Result<Vec<Result<Run, FixError>>, FixError> {
    let all = names(folder)?;
    Ok(all
        .iter()
        .map(|name| parse(&folder.join(format!("{name}.jsonl")), name))
        .collect())
}

fn names(folder: &Path) -> Result<Vec<String>, FixError> {
    let failed = |source| FixError::Journal {
        what: "list",
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if let Some(name) = name.to_str().and_then(|n| n.strip_suffix(".jsonl")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn parse(path: &Path, name: &str) -> Result<Run, FixError> {
    let bytes = std::fs::read(path).map_err(|source| FixError::Journal {
        what: "read",
        path: path.to_owned(),
        source,
    })?;
    let damaged = |line: usize, message: String| FixError::Damaged {
        path: path.to_owned(),
        line,
        message,
    };
    let mut events = Vec::new();
    for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        // A crash can cut off the last line, in the midst of a letter too: what it would have said had not happened.
        if !line.ends_with(b"\n") {
            break;
        }
        events.push(
            serde_json::from_slice::<Event>(line).map_err(|e| damaged(index + 1, e.to_string()))?,
        );
    }
    let Some(Event::Run {
        plan: Some(plan), ..
    }) = events.first()
    else {
        return Err(damaged(1, "it does not begin with a plan".to_owned()));
    };
    if plan.content_hash() != plan.hash {
        return Err(damaged(1, "its plan was changed".to_owned()));
    }
    Ok(Run {
        name: name.to_owned(),
        path: path.to_owned(),
        plan: (**plan).clone(),
        events,
    })
}
