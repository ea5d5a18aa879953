//! The operations and shapes of a model, each decoded when first asked for: a scan needs few of the thousands that AWS's
//! models have.
use crate::Operation;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::OnceLock;

/// Parts of one model, numbered from 0.
#[derive(Clone)]
pub struct Encoded<T> {
    cells: Box<[OnceLock<Option<Box<T>>>]>,
    /// What is not yet decoded, one postcard value after the other; number `n` ends at `ends[n]`.
    bytes: Box<[u8]>,
    ends: Box<[u32]>,
}

impl<T> Default for Encoded<T> {
    fn default() -> Self {
        Self {
            cells: Box::default(),
            bytes: Box::default(),
            ends: Box::default(),
        }
    }
}

impl<T: DeserializeOwned> Encoded<T> {
    /// The part of that number.
    pub fn get(&self, index: usize) -> Option<&T> {
        let cell = self.cells.get(index)?;
        let decode = || {
            let bytes = self.bytes_of(index)?;
            postcard::from_bytes(bytes).ok().map(Box::new)
        };
        cell.get_or_init(decode).as_deref()
    }
    /// Nothing where there are no bytes, because the value was there before them.
    fn bytes_of(&self, index: usize) -> Option<&[u8]> {
        let start = match index.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        let end = *self.ends.get(index)?;
        self.bytes.get(start as usize..end as usize)
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
    /// All, in the order of their numbers; decodes all.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl Encoded<Operation> {
    /// The operation of that name, where they are sorted by name.
    pub(crate) fn named(&self, name: &str) -> Option<&Operation> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            match self.name_of(middle)?.cmp(name) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Equal => return self.get(middle),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }
    /// A name is the first of what an operation is encoded as, and is read alone.
    fn name_of(&self, index: usize) -> Option<&str> {
        match self.bytes_of(index) {
            Some(bytes) => postcard::take_from_bytes(bytes).ok().map(|(name, _)| name),
            None => self.get(index).map(|o| o.name.as_str()),
        }
    }
}

impl<T> From<Vec<T>> for Encoded<T> {
    fn from(parts: Vec<T>) -> Self {
        let cell = |part| OnceLock::from(Some(Box::new(part)));
        Self {
            cells: parts.into_iter().map(cell).collect(),
            bytes: Box::default(),
            ends: Box::default(),
        }
    }
}

impl<T: DeserializeOwned + PartialEq> PartialEq for Encoded<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<T: DeserializeOwned + std::fmt::Debug> std::fmt::Debug for Encoded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Bytes as they are, in one piece.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// How long each part is, and all of them in one piece.
impl<T: DeserializeOwned + Serialize> Serialize for Encoded<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut lengths, mut bytes) = (Vec::with_capacity(self.len()), Vec::new());
        for part in self.iter() {
            let encoded = postcard::to_allocvec(part).map_err(S::Error::custom)?;
            lengths.push(encoded.len());
            bytes.extend(encoded);
        }
        (lengths, Bytes(&bytes)).serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Encoded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (lengths, bytes) = <(Vec<u32>, &'de [u8])>::deserialize(deserializer)?;
        let mut end = 0_u32;
        let ends = lengths.iter().map(|length| {
            end = end.checked_add(*length)?;
            Some(end)
        });
        let ends: Option<Vec<u32>> = ends.collect();
        let ends = ends.filter(|_| u32::try_from(bytes.len()) == Ok(end));
        let ends =
            ends.ok_or_else(|| D::Error::custom("the lengths are not those of the parts"))?;
        Ok(Self {
            cells: lengths.iter().map(|_| OnceLock::new()).collect(),
            bytes: bytes.into(),
            ends: ends.into(),
        })
    }
}
