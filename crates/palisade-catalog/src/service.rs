//! Service files: tables and the calls that fill them. See `docs/specs/service.md`.
use std::collections::BTreeMap;

/// How often a table's first call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Once an account, in the partition's home region.
    Global,
    /// Once an account and region.
    Regional,
}

impl std::str::FromStr for Scope {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "global" => Ok(Self::Global),
            "regional" => Ok(Self::Regional),
            _ => Err(()),
        }
    }
}

/// Number of the bulk tagging call among the sources of a column; the list call is 0, `calls[i]` is `i + 1`.
pub const TAGGING_SOURCE: usize = usize::MAX;

/// One `catalog/services/<name>.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The file's stem.
    pub name: String,
    /// The file, for messages.
    pub file: String,
    /// As AWS writes it.
    pub title: String,
    /// Name of the API model.
    pub model: String,
    /// IAM prefix; `None`: the model's signing name.
    pub iam: Option<String>,
    /// Default scope of its tables.
    pub scope: Scope,
    /// Operation → IAM actions, where they are not `<iam>:<Operation>`.
    pub permissions: BTreeMap<String, Vec<String>>,
    /// Names of its tables.
    pub tables: Vec<String>,
}

/// One table, as written.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// For example `s3_bucket`.
    pub name: String,
    /// The service's name.
    pub service: String,
    /// API model of its calls.
    pub model: String,
    /// File and line of its header, for messages.
    pub place: (String, u32),
    /// One sentence.
    pub about: String,
    /// How often it is listed.
    pub scope: Scope,
    /// Column with the resource id.
    pub id: String,
    /// Template of the ARN.
    pub arn: Option<String>,
    /// Columns that say where the row lives; empty: where it was listed.
    pub region: Vec<String>,
    /// Rows of regions that are not scanned are kept.
    pub keep_foreign: bool,
    /// Rows with the same ARN are kept once.
    pub unique: bool,
    /// Tags come from the bulk tagging API.
    pub tags_from_tagging: bool,
    /// Paths of columns and fields that change though nobody changes the resource: no comparison looks at them.
    pub volatile: Vec<String>,
    /// Paths of lists whose order means something: elsewhere AWS promises none.
    pub ordered: Vec<String>,
    /// The call that gives the rows; `None`: one row for each account (and region).
    pub list: Option<ListSpec>,
    /// Calls for rows. Source `i + 1` of a column is `calls[i]`; source 0 is the list call.
    pub calls: Vec<CallSpec>,
    /// Added, replaced and hidden columns.
    pub columns: BTreeMap<String, ColumnSpec>,
}

/// The call that gives a table's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ListSpec {
    /// Operation.
    pub call: String,
    /// Constant parameters; strings may be templates.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Path of the rows; `.` is the answer itself (also where `csv` is given).
    pub rows: String,
    /// Column for plain strings.
    pub scalar: Option<String>,
    /// Table whose rows the call is made for.
    pub parent: Option<String>,
    /// Column → member of the element that encloses the rows.
    pub outer: BTreeMap<String, String>,
    /// Codes that mean "nothing there".
    pub absent: Vec<String>,
    /// A call to make before, until its answer says so.
    pub before: Option<Before>,
    /// Path of CSV bytes in the answer.
    pub csv: Option<String>,
}

/// A call that is repeated until members of its answer have the given values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Operation.
    pub call: String,
    /// Member → value.
    pub until: BTreeMap<String, String>,
}

/// A call made for rows.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSpec {
    /// Operation.
    pub call: String,
    /// Parameters; strings may be templates over the row.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Path into the answer; empty: the whole answer.
    pub from: String,
    /// The column it becomes; `None`: each member becomes one.
    pub into: Option<String>,
    /// Codes that mean "there is none".
    pub absent: Vec<String>,
    /// Rows that are asked.
    pub when: Option<When>,
    /// Several rows in one call.
    pub batch: Option<Batch>,
}

/// Only rows whose column has one of the values are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// Column of the list call, or of another call that is then made first.
    pub column: String,
    /// Accepted values, as text (`true`/`false` for booleans).
    pub is: Vec<String>,
}

/// Several rows in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Parameter that takes the list.
    pub param: String,
    /// Column whose values are sent and matched.
    pub of: String,
    /// Most values a call takes.
    pub size: usize,
    /// Path of the answers.
    pub rows: String,
    /// Member of an answer that equals `of`; empty: the answers are a map, and its key is matched.
    pub matching: String,
}

/// `[table.<name>.column] <column> = { … }`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnSpec {
    /// Path over the table's own columns, snake case.
    pub from: Option<String>,
    /// `secrets`, `base64`, `json`, `keys`, `count`.
    pub transform: Option<String>,
    /// A template: text.
    pub value: Option<String>,
    /// Not a column.
    pub hide: bool,
    /// CSV header.
    pub csv: Option<String>,
    /// `text`, `boolean`, `integer`, `timestamp` (CSV columns).
    pub kind: Option<String>,
}

/// SQL over tables, with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSpec {
    /// Its name.
    pub name: String,
    /// The service's name.
    pub service: String,
    /// File and line, for messages.
    pub place: (String, u32),
    /// One sentence.
    pub about: String,
    /// The SELECT.
    pub sql: String,
}
