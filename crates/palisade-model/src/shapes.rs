//! The shapes of a model, each decoded when first asked for: a scan needs few of the thousands that AWS's models have.
use crate::Shape;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::OnceLock;

/// The shapes of one model, numbered from 0.
#[derive(Clone, Default)]
pub struct Shapes {
    cells: Vec<OnceLock<Option<Box<Shape>>>>,
    /// What is not yet decoded, one postcard value after the other; shape `n` ends at `ends[n]`.
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Shapes {
    /// The shape of that number.
    pub fn get(&self, index: usize) -> Option<&Shape> {
        let cell = self.cells.get(index)?;
        let decode = || {
            let start = match index.checked_sub(1) {
                None => 0,
                Some(before) => *self.ends.get(before)?,
            };
            let end = *self.ends.get(index)?;
            let bytes = self.bytes.get(start as usize..end as usize)?;
            postcard::from_bytes(bytes).ok().map(Box::new)
        };
        cell.get_or_init(decode).as_deref()
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
    pub fn iter(&self) -> impl Iterator<Item = &Shape> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl From<Vec<Shape>> for Shapes {
    fn from(shapes: Vec<Shape>) -> Self {
        let cell = |shape| OnceLock::from(Some(Box::new(shape)));
        Self {
            cells: shapes.into_iter().map(cell).collect(),
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }
}

impl PartialEq for Shapes {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl std::fmt::Debug for Shapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// One shape as bytes: what is skipped over costs nothing to decode.
struct Encoded<'a>(&'a [u8]);

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Shapes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.len()))?;
        for shape in self.iter() {
            let bytes = postcard::to_allocvec(shape).map_err(S::Error::custom)?;
            all.serialize_element(&Encoded(&bytes))?;
        }
        all.end()
    }
}

impl<'de> Deserialize<'de> for Shapes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Shapes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("encoded shapes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Shapes, A::Error> {
                let mut shapes = Shapes::default();
                while let Some(bytes) = all.next_element::<&'de [u8]>()? {
                    shapes.bytes.extend_from_slice(bytes);
                    let end = u32::try_from(shapes.bytes.len()).map_err(A::Error::custom)?;
                    shapes.ends.push(end);
                    shapes.cells.push(OnceLock::new());
                }
                shapes.bytes.shrink_to_fit();
                shapes.ends.shrink_to_fit();
                shapes.cells.shrink_to_fit();
                Ok(shapes)
            }
        }
        deserializer.deserialize_seq(All)
    }
}
