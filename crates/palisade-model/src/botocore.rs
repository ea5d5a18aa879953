//! From botocore's JSON files to [`Model`]. Only facts are kept: names, types, traits, no documentation.
use crate::{
    Constraint, Location, Member, Model, ModelError, Operation, Pagination, Protocol, Reference,
    Shape, ShapeId, ShapeKind, TimestampFormat, Traits, XmlNamespace,
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// The JSON files of one service.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// `service-2.json`
    pub service: Json,
    /// `paginators-1.json`, or null.
    pub paginators: Json,
    /// `endpoint-rule-set-1.json`, or null.
    pub endpoint_rules: Json,
}

impl Source {
    /// Lays a `*.sdk-extras.json` file over a file that it corrects: its `merge` object, key by key.
    pub fn merge(into: &mut Json, extras: &Json) {
        fn lay(into: &mut Json, over: &Json) {
            match (into, over) {
                (Json::Object(into), Json::Object(over)) => {
                    for (key, value) in over {
                        lay(into.entry(key.clone()).or_insert(Json::Null), value);
                    }
                }
                (into, over) => *into = over.clone(),
            }
        }
        if let Some(over) = extras.get("merge") {
            lay(into, over);
        }
    }
}

impl Protocol {
    /// The protocol that botocore gives this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "query" => Self::Query,
            "ec2" => Self::Ec2,
            "json" => Self::Json,
            "rest-json" => Self::RestJson,
            "rest-xml" => Self::RestXml,
            "smithy-rpc-v2-cbor" => Self::Cbor,
            _ => return None,
        })
    }
}

impl Model {
    /// Extracts what a client needs from botocore's files of one service.
    ///
    /// # Errors
    /// When a shape is missing, a protocol is unknown, or the file is not a service model.
    pub fn from_botocore(name: &str, source: &Source) -> Result<Self, ModelError> {
        let service = &source.service;
        let damaged = |reason: String| ModelError::Damaged {
            name: name.to_owned(),
            reason,
        };
        let meta = &service["metadata"];
        let mut protocols = Vec::new();
        let names: Vec<&str> = match meta["protocols"].as_array() {
            Some(all) => all.iter().filter_map(Json::as_str).collect(),
            None => meta["protocol"].as_str().into_iter().collect(),
        };
        for protocol in names {
            let known = Protocol::from_name(protocol);
            protocols.push(known.ok_or_else(|| damaged(format!("unknown protocol `{protocol}`")))?);
        }
        let endpoint_prefix = text(meta, "endpointPrefix");
        let mut shapes = Shapes {
            definitions: &service["shapes"],
            index: BTreeMap::new(),
            names: Vec::new(),
        };
        let mut operations = Vec::new();
        for (operation, definition) in object(&service["operations"]) {
            let pages = source
                .paginators
                .get("pagination")
                .and_then(|p| p.get(operation));
            operations.push(shapes.operation(operation, definition, pages.unwrap_or(&Json::Null)));
        }
        operations.sort_by(|a, b| a.name.cmp(&b.name));
        let mut built = Vec::new();
        while let Some(next) = shapes.names.get(built.len()).cloned() {
            built.push(
                shapes
                    .shape(&next)
                    .ok_or_else(|| damaged(format!("no shape `{next}`")))?,
            );
        }
        let mut rules = source.endpoint_rules.clone();
        strip_documentation(&mut rules);
        Ok(Self {
            name: name.to_owned(),
            service_id: text(meta, "serviceId"),
            signing_name: meta["signingName"]
                .as_str()
                .unwrap_or(&endpoint_prefix)
                .to_owned(),
            endpoint_prefix,
            target_prefix: text(meta, "targetPrefix"),
            json_version: text(meta, "jsonVersion"),
            api_version: text(meta, "apiVersion"),
            xml_namespace: xml_namespace(&meta["xmlNamespace"]),
            protocols,
            query_compatible: meta["awsQueryCompatible"].is_object(),
            operations: operations.into(),
            shapes: built.into(),
            endpoint_rules: if rules.is_null() {
                String::new()
            } else {
                rules.to_string()
            },
        })
    }
}

/// What a member of an operation's input must be; the path is that of [`Constraints`](crate::Constraints). `None` when there
/// is no such member.
pub fn constraint(source: &Source, operation: &str, path: &str) -> Option<Constraint> {
    let shapes = source.service.get("shapes")?;
    let target = |from: Option<&Json>| shapes.get(from?.get("shape")?.as_str()?);
    let operation = source.service.get("operations")?.get(operation)?;
    let mut at = target(operation.get("input"))?;
    for step in path.replace("[]", ".[]").split('.') {
        // the keys of a map stand where a structure has its members
        let is_map = at.get("type").is_some_and(|t| t == "map");
        at = match step {
            "[]" => target(at.get("member"))?,
            _ if is_map => target(at.get("value"))?,
            name => target(at.get("members").and_then(|m| m.get(name)))?,
        };
    }
    // bounds may be written as `1.0`
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a whole number that is small"
    )]
    let whole = |name: &str| {
        let bound = at[name]
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 1e15);
        bound.map(|f| f as i64)
    };
    let constraint = Constraint {
        min: whole("min"),
        max: whole("max"),
        pattern: optional(at, "pattern"),
        values: array(at.get("enum").unwrap_or(&Json::Null))
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
    };
    Some(constraint.checkable())
}

/// Whether a member of an operation's input is a list.
pub fn is_list(source: &Source, operation: &str, path: &str) -> bool {
    constraint(source, operation, &format!("{path}[]")).is_some()
}

/// Shapes get their number when they are first named, so that only those in use are kept.
struct Shapes<'s> {
    definitions: &'s Json,
    index: BTreeMap<String, ShapeId>,
    names: Vec<String>,
}

impl Shapes<'_> {
    fn intern(&mut self, name: &str) -> ShapeId {
        if let Some(id) = self.index.get(name) {
            return *id;
        }
        let id = ShapeId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.index.insert(name.to_owned(), id);
        self.names.push(name.to_owned());
        id
    }

    fn reference(&mut self, reference: &Json) -> Option<Reference> {
        Some(Reference {
            shape: self.intern(reference["shape"].as_str()?),
            location_name: optional(reference, "locationName"),
            xml_namespace: xml_namespace(&reference["xmlNamespace"]),
        })
    }

    fn operation(&mut self, name: &str, definition: &Json, pages: &Json) -> Operation {
        let http = &definition["http"];
        let no_auth = definition["auth"]
            .as_array()
            .is_some_and(|a| a.iter().any(|a| a == "smithy.api#noAuth"));
        let statics = object(&definition["staticContextParams"]);
        Operation {
            name: name.to_owned(),
            method: http["method"].as_str().unwrap_or("POST").to_owned(),
            uri: http["requestUri"].as_str().unwrap_or("/").to_owned(),
            input: self.reference(&definition["input"]),
            output: self.reference(&definition["output"]),
            result_wrapper: optional(&definition["output"], "resultWrapper"),
            host_prefix: optional(&definition["endpoint"], "hostPrefix"),
            checksum_required: definition["httpChecksumRequired"] == true
                || definition.pointer("/httpChecksum/requestChecksumRequired")
                    == Some(&Json::Bool(true)),
            unsigned: definition["authtype"] == "none" || no_auth,
            static_context: statics
                .map(|(k, v)| (k.clone(), v["value"].to_string()))
                .collect(),
            pagination: pagination(pages),
            errors: array(&definition["errors"])
                .filter_map(|e| Some(self.intern(e["shape"].as_str()?)))
                .collect(),
        }
    }

    fn shape(&mut self, name: &str) -> Option<Shape> {
        let definition = self.definitions.get(name)?;
        let kind = kind(definition);
        let mut members = Vec::new();
        for (member, reference) in object(&definition["members"]) {
            members.push(self.member(member, reference));
        }
        let element = match kind {
            ShapeKind::List => Some(Box::new(self.member("member", &definition["member"]))),
            ShapeKind::Map => Some(Box::new(self.member("value", &definition["value"]))),
            _ => None,
        };
        let key =
            (kind == ShapeKind::Map).then(|| Box::new(self.member("key", &definition["key"])));
        let exception = definition["exception"] == true || definition["error"].is_object();
        Some(Shape {
            name: name.to_owned(),
            kind,
            traits: traits(definition),
            members,
            element,
            key,
            sparse: definition["sparse"] == true,
            payload: optional(definition, "payload"),
            error_code: exception.then(|| {
                definition
                    .pointer("/error/code")
                    .and_then(Json::as_str)
                    .unwrap_or(name)
                    .to_owned()
            }),
            required: array(&definition["required"])
                .filter_map(|r| r.as_str().map(str::to_owned))
                .collect(),
        })
    }

    fn member(&mut self, name: &str, reference: &Json) -> Member {
        Member {
            name: name.to_owned(),
            shape: self.intern(reference["shape"].as_str().unwrap_or_default()),
            location: match reference["location"].as_str() {
                Some("header") => Location::Header,
                Some("headers") => Location::Headers,
                Some("uri") => Location::Uri,
                Some("querystring") => Location::QueryString,
                Some("statusCode") => Location::StatusCode,
                _ => Location::Body,
            },
            traits: traits(reference),
            query_name: optional(reference, "queryName"),
            host_label: reference["hostLabel"] == true,
            context_param: optional(&reference["contextParam"], "name"),
        }
    }
}

fn kind(definition: &Json) -> ShapeKind {
    if definition["document"] == true {
        return ShapeKind::Document;
    }
    match definition["type"].as_str().unwrap_or_default() {
        "structure" if definition["union"] == true => ShapeKind::Union,
        "structure" => ShapeKind::Structure,
        "list" => ShapeKind::List,
        "map" => ShapeKind::Map,
        "boolean" => ShapeKind::Boolean,
        "integer" | "long" | "short" | "byte" => ShapeKind::Integer,
        "float" | "double" => ShapeKind::Double,
        "blob" => ShapeKind::Blob,
        "timestamp" => ShapeKind::Timestamp,
        "biginteger" => ShapeKind::BigInteger,
        "bigdecimal" => ShapeKind::BigDecimal,
        _ => ShapeKind::String,
    }
}

fn traits(definition: &Json) -> Traits {
    let flag = |name: &str| definition[name] == true;
    Traits {
        flattened: flag("flattened"),
        timestamp_format: match definition["timestampFormat"].as_str() {
            Some("iso8601") => Some(TimestampFormat::Iso8601),
            Some("rfc822") => Some(TimestampFormat::Rfc822),
            Some("unixTimestamp") => Some(TimestampFormat::UnixTimestamp),
            _ => None,
        },
        json_value: flag("jsonvalue"),
        idempotency_token: flag("idempotencyToken"),
        sensitive: flag("sensitive"),
        xml_namespace: xml_namespace(&definition["xmlNamespace"]),
        xml_attribute: flag("xmlAttribute"),
        location_name: optional(definition, "locationName"),
    }
}

fn xml_namespace(value: &Json) -> Option<XmlNamespace> {
    let uri = value.as_str().or_else(|| value["uri"].as_str())?.to_owned();
    Some(XmlNamespace {
        uri,
        prefix: optional(value, "prefix"),
    })
}

fn pagination(pages: &Json) -> Option<Pagination> {
    let list = |key: &str| match &pages[key] {
        Json::String(one) => vec![one.clone()],
        Json::Array(all) => all
            .iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    pages.is_object().then(|| Pagination {
        input_tokens: list("input_token"),
        output_tokens: list("output_token"),
        result_keys: list("result_key"),
        limit_key: optional(pages, "limit_key"),
        more_results: optional(pages, "more_results"),
    })
}

fn strip_documentation(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.shift_remove("documentation");
            map.values_mut().for_each(strip_documentation);
        }
        Json::Array(items) => items.iter_mut().for_each(strip_documentation),
        _ => {}
    }
}

fn text(value: &Json, key: &str) -> String {
    optional(value, key).unwrap_or_default()
}

fn optional(value: &Json, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn object(value: &Json) -> impl Iterator<Item = (&String, &Json)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn array(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}
