//! Facts of AWS's APIs: services, operations, shapes, paginators, endpoint rules, as extracted from
//! botocore's models by `cargo xtask models` into `catalog/models/`, and the values that answers decode to.
//!
//! Invariant: pure data. Nothing here makes a request; nothing here knows tables or checks.

mod api;
pub mod botocore;
mod constraint;
mod encoded;
mod regions;
mod registry;
mod value;

pub use api::{Api, ApiError, CallFuture, CallRequest, OperationStatistics, Page};
pub use constraint::{Constraint, Constraints, members};
pub use encoded::Encoded;
pub use regions::{Regions, ServiceRegions};
pub use registry::{ModelError, Models};
pub use value::{Record, Value};

use serde::{Deserialize, Serialize};

/// Index of a shape in its [`Model`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShapeId(pub u32);

/// A wire protocol, as botocore's `metadata.protocols` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// `query`
    Query,
    /// `ec2`
    Ec2,
    /// `json` (1.0 or 1.1, see [`Model::json_version`])
    Json,
    /// `rest-json`
    RestJson,
    /// `rest-xml`
    RestXml,
    /// `smithy-rpc-v2-cbor`
    Cbor,
}

/// One service's API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The model's folder in botocore, for example `s3` or `resourcegroupstaggingapi`.
    pub name: String,
    /// For example `Amazon S3` → `S3`: names `AWS_ENDPOINT_URL_<ID>`.
    pub service_id: String,
    /// First label of the classic endpoint.
    pub endpoint_prefix: String,
    /// Service name in SigV4's scope.
    pub signing_name: String,
    /// `X-Amz-Target` prefix of the JSON protocols; empty elsewhere.
    pub target_prefix: String,
    /// `1.0` or `1.1` for the JSON protocols; empty elsewhere.
    pub json_version: String,
    /// For example `2016-11-15`.
    pub api_version: String,
    /// XML namespace (uri, prefix) of requests.
    pub xml_namespace: Option<XmlNamespace>,
    /// Offered protocols; the first is the one AWS lists first.
    pub protocols: Vec<Protocol>,
    /// `awsQueryCompatible`: error codes arrive in `x-amzn-query-error`.
    pub query_compatible: bool,
    /// Sorted by name.
    pub operations: Encoded<Operation>,
    /// All shapes that the operations reach, by [`ShapeId`].
    pub shapes: Encoded<Shape>,
    /// `endpoint-rule-set-1.json`, as JSON text.
    pub endpoint_rules: String,
}

/// A URI and, where the model gives one, a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct XmlNamespace {
    /// Namespace URI.
    pub uri: String,
    /// Prefix, if any.
    pub prefix: Option<String>,
}

/// One API operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// For example `DescribeInstances`.
    pub name: String,
    /// HTTP method.
    pub method: String,
    /// URI template with `{label}` and `{label+}`; labels are wire names.
    pub uri: String,
    /// Input structure.
    pub input: Option<Reference>,
    /// Output structure.
    pub output: Option<Reference>,
    /// `resultWrapper` of the query protocol.
    pub result_wrapper: Option<String>,
    /// `endpoint.hostPrefix`, with `{Member}` labels.
    pub host_prefix: Option<String>,
    /// A request checksum is required.
    pub checksum_required: bool,
    /// Signature options: `authtype: none`.
    pub unsigned: bool,
    /// Endpoint parameters that are constant for the operation: (name, JSON value as text).
    pub static_context: Vec<(String, String)>,
    /// How pages follow each other.
    pub pagination: Option<Pagination>,
    /// Modeled errors.
    pub errors: Vec<ShapeId>,
}

/// `paginators-1.json`, one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pagination {
    /// Input members that take the tokens.
    pub input_tokens: Vec<String>,
    /// Output expressions that give them (JMESPath subset `a.b`, `x[-1]`, `a || b`).
    pub output_tokens: Vec<String>,
    /// Output expressions of the lists that grow.
    pub result_keys: Vec<String>,
    /// Input member that limits a page.
    pub limit_key: Option<String>,
    /// Output expression that says whether there is more.
    pub more_results: Option<String>,
}

/// A use of a shape, with what the use itself adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The shape used.
    pub shape: ShapeId,
    /// `locationName`.
    pub location_name: Option<String>,
    /// `xmlNamespace`.
    pub xml_namespace: Option<XmlNamespace>,
}

/// What a shape is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ShapeKind {
    /// Members of fixed names.
    Structure,
    /// A structure of which exactly one member is present.
    Union,
    /// A list.
    List,
    /// A map with string keys.
    Map,
    /// Text.
    String,
    /// true or false
    Boolean,
    /// Whole number (`integer`, `long`, `short`, `byte`): all are read as 64 bits.
    Integer,
    /// `float` and `double`.
    Double,
    /// Bytes.
    Blob,
    /// A point in time.
    Timestamp,
    /// Any JSON.
    Document,
    /// Whole number of any size, carried as text.
    BigInteger,
    /// Decimal number of any size, carried as text.
    BigDecimal,
}

/// Where a member travels in an HTTP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Location {
    /// In the body.
    Body,
    /// A header.
    Header,
    /// All headers with a prefix.
    Headers,
    /// The URI's path.
    Uri,
    /// The query string.
    QueryString,
    /// The status code (answers only).
    StatusCode,
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimestampFormat {
    /// `2026-01-31T12:00:00Z`
    Iso8601,
    /// `Sat, 31 Jan 2026 12:00:00 GMT`
    Rfc822,
    /// Seconds since 1970.
    UnixTimestamp,
}

/// Traits that both a shape and a use of it may carry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    /// `flattened`
    pub flattened: bool,
    /// `timestampFormat`
    pub timestamp_format: Option<TimestampFormat>,
    /// `jsonvalue`: JSON carried in a string.
    pub json_value: bool,
    /// `idempotencyToken`
    pub idempotency_token: bool,
    /// `sensitive`: AWS asks that the value is not logged.
    pub sensitive: bool,
    /// `xmlNamespace`
    pub xml_namespace: Option<XmlNamespace>,
    /// `xmlAttribute`
    pub xml_attribute: bool,
    /// `locationName`
    pub location_name: Option<String>,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// For example `BucketLoggingStatus`.
    pub name: String,
    /// What it is.
    pub kind: ShapeKind,
    /// Traits of the shape itself.
    pub traits: Traits,
    /// Members of a structure or union, in the model's order.
    pub members: Vec<Member>,
    /// A list's element or a map's value.
    pub element: Option<Box<Member>>,
    /// A map's key.
    pub key: Option<Box<Member>>,
    /// `sparse`: nulls are kept.
    pub sparse: bool,
    /// Member that is the whole body.
    pub payload: Option<String>,
    /// For a modeled error: its code on the wire (the shape's name where the model gives none).
    pub error_code: Option<String>,
    /// Wrapped outputs (`GetBucketLocation`) and other oddities are keyed by operation, not here.
    pub required: Vec<String>,
}

/// A member of a structure, or the element of a list or map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The member's name in the model (`member`, `key` or `value` for elements).
    pub name: String,
    /// Its type.
    pub shape: ShapeId,
    /// Where it travels.
    pub location: Location,
    /// Traits of the use.
    pub traits: Traits,
    /// `queryName` (ec2 requests).
    pub query_name: Option<String>,
    /// `hostLabel`
    pub host_label: bool,
    /// `contextParam.name`: an endpoint parameter.
    pub context_param: Option<String>,
}

impl Model {
    /// The operation of that name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.named(name)
    }
    /// The shape behind an id. `None` only for an id of another model.
    pub fn shape(&self, id: ShapeId) -> Option<&Shape> {
        self.shapes.get(id.0 as usize)
    }
}

impl Shape {
    /// The member of that name and its index.
    pub fn member(&self, name: &str) -> Option<(usize, &Member)> {
        self.members
            .iter()
            .enumerate()
            .find(|(_, m)| m.name == name)
    }
    /// True for structures and unions.
    pub fn is_structure(&self) -> bool {
        matches!(self.kind, ShapeKind::Structure | ShapeKind::Union)
    }
}
