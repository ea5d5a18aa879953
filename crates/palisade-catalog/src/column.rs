//! The columns of a table, as they follow from its calls and the API model.
use palisade_model::ShapeId;
use std::sync::Arc;

/// Type of a column. What it contains is shared: shapes of an API are used in many places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// true or false
    Boolean,
    /// 64 bits.
    Integer,
    /// 64 bits.
    Float,
    /// UTF-8 text; also bytes (base64), documents (JSON) and recursive shapes (JSON).
    Text,
    /// Microseconds, UTC.
    Timestamp,
    /// Elements of one type.
    List(Arc<ColumnType>),
    /// Text keys, values of one type; sorted by key.
    Map(Arc<ColumnType>),
    /// Fields in the order of the shape's members, names in snake case; members that the service file hides are left out.
    Struct(Arc<Vec<(String, ColumnType)>>),
}

/// One step of a path into an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A structure's member (model's name) or a map's entry.
    Member(String),
    /// Every element of the list that was reached.
    Each,
    /// The elements of the list that was reached whose members are these texts.
    Where(Vec<(String, String)>),
}

impl Step {
    /// True when the step opens a list: what is reached is a list of values.
    pub fn opens(&self) -> bool {
        matches!(self, Self::Each | Self::Where(_))
    }
}

/// What is done to a value on its way into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// Nothing.
    None,
    /// List of key and value, or map → map from text to text.
    Tags,
    /// → list of `{name, kind}` of what looks like a credential.
    Secrets,
    /// The same, of text that came as base64.
    SecretsOfBase64,
    /// base64 → text.
    Base64,
    /// → JSON text.
    Json,
    /// Map → list of its keys.
    Keys,
    /// List → number of elements.
    Count,
}

/// Where a column's cells come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// The account.
    AccountId,
    /// The row's region.
    Region,
    /// The partition.
    Partition,
    /// The table's `arn` template.
    Arn,
    /// An answer: source 0 is the list call, `i + 1` is `calls[i]`.
    Answer {
        /// Which call.
        source: usize,
        /// Path from the row (list) or from `from` (calls), in the model's names. Where it opens lists (`Each`), or `from`
        /// does, the value is the flat list of everything that is reached, and the column's type a list.
        path: Vec<Step>,
        /// The shape reached (of one element, where lists are opened), in the model of the table. What is done to the
        /// value is done to all of it: `Count` and `Secrets` see the flat list.
        shape: Option<ShapeId>,
        /// What is done to it.
        transform: Transform,
    },
    /// A member of the element that encloses the row.
    Outer {
        /// The member's name.
        member: String,
    },
    /// A template over other columns: text.
    Template {
        /// The text.
        template: String,
    },
    /// A CSV column.
    Csv {
        /// Its header.
        header: String,
    },
    /// Another column's value, further in, transformed.
    Derived {
        /// The other column.
        column: String,
        /// Path inside, snake case.
        path: Vec<Step>,
        /// What is done to it.
        transform: Transform,
    },
    /// The bulk tagging API, joined by ARN.
    Tagging,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Snake case.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Where its cells come from.
    pub origin: Origin,
    /// All calls that must have answered for the cell to be known: source numbers, sorted
    /// (templates and derived columns inherit those of the columns they read).
    pub sources: Vec<usize>,
}

/// All columns of a table, in a fixed order: `account_id`, `region`, `partition`, `arn`, then by call and model order.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    /// The columns.
    pub columns: Vec<Column>,
}

impl TableSchema {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}
