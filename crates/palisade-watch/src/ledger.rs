//! What a watch remembers beside its snapshots: the events that are in them, and the changes that have to be told.
//!
//! A ledger is written before its snapshot is committed, and counts only if it was. So an event is in the tables, its id
//! is known and its changes are on record at the same moment, or none of it is.
use crate::{Change, WatchError};
use palisade_core::Timestamp;
use palisade_store::{Manifest, Store, StoreError};
use serde::{Deserialize, Serialize};

/// Where ledgers are.
pub const LEDGERS: &str = "watch";

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// Ids of events that are remembered: Amazon SQS delivers a message again within hours, if at all.
const MOST_HANDLED: usize = 20_000;

const TOLD: &str = "watch/told";

/// What belongs to one snapshot of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Of this document.
    pub format: u32,
    /// The snapshot's id.
    pub snapshot: String,
    /// When the last whole collection began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Timestamp>,
    /// Ids of events that are in it, oldest first.
    pub handled: Vec<String>,
    /// What changed with it.
    pub changes: Vec<Change>,
}

impl Ledger {
    /// Of a snapshot that follows on this one.
    #[must_use]
    pub fn next(&self, snapshot: &str, events: &[String], changes: Vec<Change>) -> Self {
        let mut handled = self.handled.clone();
        handled.extend(events.iter().cloned());
        let from = handled.len().saturating_sub(MOST_HANDLED);
        Self {
            format: FORMAT,
            snapshot: snapshot.to_owned(),
            whole: self.whole,
            handled: handled.split_off(from),
            changes,
        }
    }
}

/// The ledgers of a store.
#[derive(Debug, Clone)]
pub struct Ledgers(Store);

impl Ledgers {
    /// Of a store.
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    fn path(snapshot: &str) -> String {
        format!("{LEDGERS}/{snapshot}.json")
    }

    /// Writes a ledger; its snapshot is to be committed next.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn write(&self, ledger: &Ledger) -> Result<(), WatchError> {
        let path = Self::path(&ledger.snapshot);
        let bytes = serde_json::to_vec(ledger).map_err(|e| {
            WatchError::Message(format!("the ledger `{path}` cannot be written: {e}"))
        })?;
        Ok(self.0.write(&path, bytes.into()).await?)
    }

    /// The ledger of the youngest committed snapshot that has one.
    ///
    /// # Errors
    /// When it cannot be read, or was written by a later version.
    pub async fn latest(&self, committed: &[Manifest]) -> Result<Option<Ledger>, WatchError> {
        let there = self.0.objects_below(LEDGERS).await?;
        for manifest in committed.iter().rev() {
            let path = Self::path(&manifest.id);
            if there
                .binary_search_by(|(known, ..)| known.as_str().cmp(&path))
                .is_err()
            {
                continue;
            }
            let bytes = self.0.read(&path).await?;
            let damaged = |message: String| StoreError::Damaged {
                path: path.clone(),
                message,
            };
            let ledger: Ledger =
                serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
            if ledger.format > FORMAT {
                return Err(WatchError::Store(StoreError::Newer {
                    path,
                    found: ledger.format,
                    known: FORMAT,
                }));
            }
            return Ok(Some(ledger));
        }
        Ok(None)
    }

    /// The snapshot whose changes were told last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn told(&self) -> Result<Option<String>, WatchError> {
        match self.0.read(TOLD).await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.is_missing() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Remembers that the changes of a ledger were told, and forgets older ledgers.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn tell(&self, ledger: &Ledger) -> Result<(), WatchError> {
        let bytes = ledger.snapshot.clone().into_bytes();
        self.0.write(TOLD, bytes.into()).await?;
        let keep = Self::path(&ledger.snapshot);
        for (path, ..) in self.0.objects_below(LEDGERS).await? {
            if path != keep && path != TOLD {
                self.0.delete(&path).await?;
            }
        }
        Ok(())
    }
}
