//! AWS's services, actions, resource types and condition keys, as facts.
//!
//! The embedded copy is `catalog/iam/actions.jsonl.zst`, made by `cargo xtask iam-actions`; another can take its place
//! with [`Catalogue::install`]. An action that is not in it is unknown, which is neither right nor wrong:
//! AWS adds actions every week.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::Range;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::glob::Pattern;
use crate::policy::action_pattern;

const EMBEDDED: &[u8] = include_bytes!("../../../catalog/iam/actions.jsonl.zst");

/// What took the place of the embedded catalogue.
static INSTALLED: OnceLock<Vec<u8>> = OnceLock::new();

/// The bytes in use.
fn bytes() -> &'static [u8] {
    INSTALLED.get().map_or(EMBEDDED, Vec::as_slice)
}

/// A catalogue that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the action catalogue cannot be read: {0}")]
pub struct CatalogueError(String);

fn at(line: usize, error: &serde_json::Error) -> CatalogueError {
    CatalogueError(format!("line {line}: {error}"))
}

/// Whether bytes begin as Zstandard's frames do (RFC 8878, section 3.1.1).
fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// What kind of access an action gives, in AWS's words (Service Authorization Reference).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccessLevel {
    /// Names of resources.
    #[serde(rename = "L")]
    List,
    /// Content or properties.
    #[serde(rename = "R")]
    Read,
    /// Tags only.
    #[serde(rename = "T")]
    Tagging,
    /// Change.
    #[serde(rename = "W")]
    Write,
    /// Change of permissions.
    #[serde(rename = "P")]
    PermissionsManagement,
}

impl AccessLevel {
    /// The level as AWS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            AccessLevel::List => "List",
            AccessLevel::Read => "Read",
            AccessLevel::Tagging => "Tagging",
            AccessLevel::Write => "Write",
            AccessLevel::PermissionsManagement => "Permissions management",
        }
    }
}

/// The first line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueHeader {
    /// Version of the package that the facts were taken from.
    pub source: String,
    /// Date of the facts, `YYYY-MM-DD`.
    pub date: String,
    /// Prefixes of the services whose resources RCPs apply to.
    pub resource_control: Vec<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Prefix of its actions.
    #[serde(rename = "p")]
    pub prefix: String,
    /// Name.
    #[serde(rename = "n")]
    pub name: String,
    /// Condition keys: name and type of value.
    #[serde(rename = "k")]
    pub keys: Vec<(String, String)>,
    /// Resource types.
    #[serde(rename = "r")]
    pub resources: Vec<ResourceType>,
    /// Actions, sorted by name.
    #[serde(rename = "a")]
    pub actions: Vec<Action>,
}

/// A resource type of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceType {
    /// Name within the service.
    #[serde(rename = "n")]
    pub name: String,
    /// ARN with `${Partition}` and other placeholders.
    #[serde(rename = "f")]
    pub arn: String,
    /// Condition keys, as places in the service's list.
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<usize>,
}

/// An action of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Name without prefix.
    #[serde(rename = "n")]
    pub name: String,
    /// Access level.
    #[serde(rename = "l")]
    pub level: AccessLevel,
    /// Resource types that it can be limited to.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ActionResource>,
    /// Condition keys that are not bound to a resource type, as places in the service's list.
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<usize>,
    /// Actions that its caller needs too.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    pub dependent: Vec<String>,
}

/// A resource type of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionResource {
    /// Place in the service's list of resource types.
    #[serde(rename = "t")]
    pub resource: usize,
    /// Whether every call has one.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Condition keys, as places in the service's list.
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<usize>,
}

/// All services.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Where the facts come from and when.
    pub header: CatalogueHeader,
    /// By prefix, in lower case.
    services: BTreeMap<String, Entry>,
    /// What entries are read from.
    text: String,
}

/// A service, read from its line when it is first asked for: policies name few of the hundreds that there are.
#[derive(Debug, Clone)]
struct Entry {
    line: Range<usize>,
    /// Nothing: the line is damaged.
    read: OnceLock<Option<Box<Service>>>,
}

impl Entry {
    fn of(&self, text: &str) -> Option<&Service> {
        let read = || serde_json::from_str(text.get(self.line.clone())?).ok();
        self.read.get_or_init(read).as_deref()
    }
}

impl From<Service> for Entry {
    fn from(service: Service) -> Self {
        Self {
            line: 0..0,
            read: OnceLock::from(Some(Box::new(service))),
        }
    }
}

impl PartialEq for Catalogue {
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header && self.services().eq(other.services())
    }
}

impl Eq for Catalogue {}

/// What a catalogue knows about an action pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expansion {
    /// The actions, as `service:Action`, sorted.
    Actions(Vec<String>),
    /// Neither `*` nor `service:action`.
    Malformed,
    /// No service has this prefix.
    UnknownService,
    /// The service has no such action.
    UnknownAction,
}

impl Catalogue {
    /// Puts another catalogue (as [`Catalogue::read`] takes it) in the place of the one in the binary, for the whole
    /// process; before the first question. False when another one is there already.
    pub fn install(bytes: Vec<u8>) -> bool {
        INSTALLED.set(bytes).is_ok()
    }

    /// The catalogue in the binary, or the one in its place.
    ///
    /// # Errors
    /// The file is damaged (a test reads the one in the binary).
    pub fn embedded() -> Result<&'static Self, CatalogueError> {
        static CATALOGUE: OnceLock<Result<Catalogue, CatalogueError>> = OnceLock::new();
        CATALOGUE
            .get_or_init(|| match INSTALLED.get() {
                Some(bytes) => Catalogue::read(bytes),
                // tests read all of it
                None => Catalogue::read_lazily(EMBEDDED),
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The header of the catalogue in the binary, or of the one in its place, without reading the rest.
    ///
    /// # Errors
    /// The file is damaged (a test reads the one in the binary).
    pub fn embedded_header() -> Result<&'static CatalogueHeader, CatalogueError> {
        static HEADER: OnceLock<Result<CatalogueHeader, CatalogueError>> = OnceLock::new();
        let read = || {
            let failed = |e: std::io::Error| CatalogueError(e.to_string());
            let mut line = String::new();
            if is_compressed(bytes()) {
                std::io::BufReader::new(zstd::Decoder::new(bytes()).map_err(failed)?)
                    .read_line(&mut line)
                    .map_err(failed)?;
            } else {
                std::io::BufReader::new(bytes())
                    .read_line(&mut line)
                    .map_err(failed)?;
            }
            serde_json::from_str(&line).map_err(|e| CatalogueError(e.to_string()))
        };
        HEADER.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// Reads a catalogue: JSON lines, plain or compressed with Zstandard.
    ///
    /// # Errors
    /// The bytes are not a catalogue.
    pub fn read(bytes: &[u8]) -> Result<Self, CatalogueError> {
        let (header, text) = Self::header_of(bytes)?;
        let mut services = Vec::new();
        for (number, line) in text.lines().enumerate().skip(1) {
            services.push(serde_json::from_str(line).map_err(|e| at(number + 1, &e))?);
        }
        Ok(Self::new(header, services))
    }

    /// The same, of bytes that [`Catalogue::to_bytes`] wrote: a line is read when its service is asked for.
    fn read_lazily(bytes: &[u8]) -> Result<Self, CatalogueError> {
        let (header, text) = Self::header_of(bytes)?;
        let mut services = BTreeMap::new();
        let mut start = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let place = start..start + line.len();
            start = place.end;
            if number == 0 {
                continue;
            }
            let prefix = line.strip_prefix(r#"{"p":""#);
            let prefix = prefix.and_then(|rest| rest.split_once('"'));
            let (prefix, _) =
                prefix.ok_or_else(|| CatalogueError(format!("line {}: no prefix", number + 1)))?;
            let entry = Entry {
                line: place,
                read: OnceLock::new(),
            };
            services.insert(prefix.to_ascii_lowercase(), entry);
        }
        Ok(Self {
            header,
            services,
            text,
        })
    }

    /// The first line, and the whole text.
    fn header_of(bytes: &[u8]) -> Result<(CatalogueHeader, String), CatalogueError> {
        let plain = if is_compressed(bytes) {
            zstd::decode_all(bytes).map_err(|e| CatalogueError(e.to_string()))?
        } else {
            bytes.to_vec()
        };
        let mut text = String::from_utf8(plain).map_err(|e| CatalogueError(e.to_string()))?;
        text.shrink_to_fit();
        let header = text.lines().next().unwrap_or_default();
        let header = serde_json::from_str(header).map_err(|e| at(1, &e))?;
        Ok((header, text))
    }

    /// Makes a catalogue.
    pub fn new(header: CatalogueHeader, services: Vec<Service>) -> Self {
        let entry = |s: Service| (s.prefix.to_ascii_lowercase(), Entry::from(s));
        Self {
            header,
            services: services.into_iter().map(entry).collect(),
            text: String::new(),
        }
    }

    /// The file's bytes: JSON lines compressed with Zstandard, the same for the same facts.
    ///
    /// # Errors
    /// The compressor failed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CatalogueError> {
        let failed = |e: &dyn std::error::Error| CatalogueError(e.to_string());
        let mut text = serde_json::to_string(&self.header).map_err(|e| failed(&e))?;
        for service in self.services() {
            text.push('\n');
            text.push_str(&serde_json::to_string(service).map_err(|e| failed(&e))?);
        }
        text.push('\n');
        zstd::encode_all(text.as_bytes(), 19).map_err(|e| failed(&e))
    }

    /// The services in order of prefix.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().filter_map(|e| e.of(&self.text))
    }

    /// A service by prefix.
    pub fn service(&self, prefix: &str) -> Option<&Service> {
        self.services
            .get(&prefix.to_ascii_lowercase())?
            .of(&self.text)
    }

    /// An action as `service:Action`; case is ignored.
    pub fn action(&self, action: &str) -> Option<(&Service, &Action)> {
        let (prefix, name) = action.split_once(':')?;
        let service = self.service(prefix)?;
        service
            .actions
            .iter()
            .find(|a| a.name.eq_ignore_ascii_case(name))
            .map(|a| (service, a))
    }

    /// The access level of an action; `None` when the action is unknown.
    pub fn access_level(&self, action: &str) -> Option<AccessLevel> {
        self.action(action).map(|(_, a)| a.level)
    }

    /// Number of actions.
    pub fn len(&self) -> usize {
        self.services().map(|s| s.actions.len()).sum()
    }

    /// Whether there is no action.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The actions that a pattern of a policy means.
    pub fn expand(&self, pattern: &str) -> Expansion {
        let compiled = action_pattern(pattern);
        if compiled == Pattern::Any {
            return Expansion::Actions(self.matching(&compiled));
        }
        let Some((prefix, _)) = pattern.split_once(':') else {
            return Expansion::Malformed;
        };
        let lower = prefix.to_ascii_lowercase();
        let found = match self.service(&lower) {
            // one service is looked through, not all
            Some(service) => {
                let mut found = Vec::new();
                service.matching(&lower, &compiled, &mut found);
                found
            }
            None if prefix.contains(['*', '?']) => self.matching(&compiled),
            None => return Expansion::UnknownService,
        };
        if found.is_empty() {
            Expansion::UnknownAction
        } else {
            Expansion::Actions(found)
        }
    }

    /// The actions that a compiled pattern (lower case) describes, sorted.
    pub fn matching(&self, pattern: &Pattern) -> Vec<String> {
        let mut out = Vec::new();
        for (prefix, entry) in &self.services {
            // A whole service is skipped when none of its actions can match.
            if (*pattern == Pattern::Any || Pattern::new(&format!("{prefix}:*")).overlaps(pattern))
                && let Some(service) = entry.of(&self.text)
            {
                service.matching(prefix, pattern, &mut out);
            }
        }
        out
    }
}

impl Service {
    /// Adds its actions that a compiled pattern describes, in their order; `lower` is its prefix in lower case.
    fn matching(&self, lower: &str, pattern: &Pattern, out: &mut Vec<String>) {
        let mut text = String::new();
        for action in &self.actions {
            text.clear();
            text.push_str(lower);
            text.push(':');
            text.push_str(&action.name);
            text.make_ascii_lowercase();
            if pattern.matches(&text) {
                out.push(format!("{}:{}", self.prefix, action.name));
            }
        }
    }

    /// The resource type of an action's entry.
    pub fn resource(&self, entry: &ActionResource) -> Option<&ResourceType> {
        self.resources.get(entry.resource)
    }

    /// The names of keys by place.
    pub fn key_names<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a str> {
        places
            .iter()
            .filter_map(|p| self.keys.get(*p))
            .map(|(name, _)| name.as_str())
    }
}

impl ResourceType {
    /// The ARN format as a pattern text: placeholders become `*`.
    pub fn pattern(&self) -> String {
        self.filled(|_| "*")
    }

    /// The ARN format with something in place of each placeholder, by its name (`Partition`, `Region`, `Account`, others).
    pub fn filled(&self, value: impl Fn(&str) -> &'static str) -> String {
        let mut out = String::new();
        let mut rest = self.arn.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}').unwrap_or((after, ""));
            out.push_str(before);
            out.push_str(value(name));
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}

/// The access level of an action by the embedded catalogue; `None` when the action is unknown.
pub fn access_level(action: &str) -> Option<AccessLevel> {
    Catalogue::embedded().ok()?.access_level(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_whole() {
        let catalogue = Catalogue::embedded().unwrap();
        assert_eq!(catalogue, &Catalogue::read(EMBEDDED).unwrap());
        assert!(catalogue.len() > 15_000 && catalogue.services().count() > 350);
        assert_eq!(
            catalogue.access_level("S3:getobject"),
            Some(AccessLevel::Read)
        );
        assert_eq!(
            catalogue.access_level("iam:AttachRolePolicy"),
            Some(AccessLevel::PermissionsManagement)
        );
        assert_eq!(catalogue.access_level("s3:Nothing"), None);
        assert_eq!(catalogue.expand("nope"), Expansion::Malformed);
        let (service, action) = catalogue.action("sqs:SendMessage").unwrap();
        assert_eq!(
            service.resource(&action.resources[0]).unwrap().pattern(),
            "arn:*:sqs:*:*:*"
        );
        assert_eq!(&catalogue.header, Catalogue::embedded_header().unwrap());
        let small = Catalogue::new(catalogue.header.clone(), vec![service.clone()]);
        assert_eq!(Catalogue::read(&small.to_bytes().unwrap()).unwrap(), small);
    }
}
