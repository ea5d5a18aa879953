//! AWS's schemas, built from a model for one request.
//!
//! `aws_smithy_schema` links schemas by reference, so they live in an arena that lasts as long as the
//! request is being written. Only the shapes that the parameters touch are built: a few microseconds a
//! call, nothing is leaked and nothing is `'static`.
//!
//! A member's schema names its type only, never the structure behind it, so recursive types cause no
//! cycle: the writer looks the structure up when it gets there.
use aws_smithy_schema::traits::{HttpTrait, TimestampFormat};
use aws_smithy_schema::{Schema, ShapeId as Id, ShapeType, intern_header_name};
use palisade_model as model;
use palisade_model::{
    Location, Member, Model, Operation, Protocol, Reference, Shape, ShapeId, ShapeKind, Traits,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use typed_arena::Arena;

/// Lists of lists are built to this depth; AWS's models stop at three.
const MAX_DEPTH: usize = 16;

/// Owner of everything that the schemas of one request refer to.
#[derive(Default)]
pub(super) struct Arenas<'s> {
    schemas: Arena<Schema<'s>>,
    members: Arena<Vec<&'s Schema<'s>>>,
    built: Arena<Built<'s>>,
    texts: Arena<String>,
}

/// A shape ready to be written.
pub(super) struct Built<'s> {
    pub(super) shape: &'s Shape,
    /// The shape's own schema, without a member name.
    pub(super) schema: &'s Schema<'s>,
    pub(super) members: Vec<BuiltMember<'s>>,
    /// Of a list's elements or a map's values, without a member name: the codecs key on that.
    pub(super) element: Option<(&'s Member, &'s Schema<'s>)>,
}

pub(super) struct BuiltMember<'s> {
    pub(super) member: &'s Member,
    pub(super) schema: &'s Schema<'s>,
    /// The member is the whole body and a structure: the structure's schema under the member's XML name.
    pub(super) payload: Option<&'s Schema<'s>>,
    pub(super) json_value: bool,
}

/// Builds schemas of one model and protocol on demand.
pub(super) struct Builder<'s> {
    arenas: &'s Arenas<'s>,
    pub(super) model: &'s Model,
    pub(super) protocol: Protocol,
    known: RefCell<BTreeMap<ShapeId, &'s Built<'s>>>,
}

fn shape_type(kind: ShapeKind) -> ShapeType {
    match kind {
        ShapeKind::Structure => ShapeType::Structure,
        ShapeKind::Union => ShapeType::Union,
        ShapeKind::List => ShapeType::List,
        ShapeKind::Map => ShapeType::Map,
        ShapeKind::String => ShapeType::String,
        ShapeKind::Boolean => ShapeType::Boolean,
        ShapeKind::Integer => ShapeType::Long,
        ShapeKind::Double => ShapeType::Double,
        ShapeKind::Blob => ShapeType::Blob,
        ShapeKind::Timestamp => ShapeType::Timestamp,
        ShapeKind::Document => ShapeType::Document,
        ShapeKind::BigInteger => ShapeType::BigInteger,
        ShapeKind::BigDecimal => ShapeType::BigDecimal,
    }
}

fn id(name: &str) -> Id<'_> {
    Id::from_parts(name, "", name)
}

impl<'s> Builder<'s> {
    pub(super) fn new(arenas: &'s Arenas<'s>, model: &'s Model, protocol: Protocol) -> Self {
        Self {
            arenas,
            model,
            protocol,
            known: RefCell::new(BTreeMap::new()),
        }
    }

    fn keep(&self, schema: Schema<'s>) -> &'s Schema<'s> {
        self.arenas.schemas.alloc(schema)
    }

    fn text(&self, text: String) -> &'s str {
        self.arenas.texts.alloc(text)
    }

    fn is_rest(&self) -> bool {
        matches!(self.protocol, Protocol::RestJson | Protocol::RestXml)
    }

    /// The schema of an operation's input: its shape plus method, URI and the root's XML name.
    pub(super) fn input(
        &self,
        operation: &'s Operation,
        reference: &'s Reference,
    ) -> Option<&'s Schema<'s>> {
        let built = self.shape(reference.shape)?;
        let mut schema = self.structure(&built.shape.name, ShapeType::Structure, &built.members);
        let traits = &built.shape.traits;
        if let Some(name) = reference
            .location_name
            .as_ref()
            .or(traits.location_name.as_ref())
        {
            schema = schema.with_xml_name(name);
        }
        schema = namespace(
            schema,
            reference
                .xml_namespace
                .as_ref()
                .or(traits.xml_namespace.as_ref()),
        );
        Some(self.keep(schema.with_http(HttpTrait::new(
            &operation.method,
            self.uri(operation, built),
            None,
        ))))
    }

    /// The schema of an operation without input.
    pub(super) fn unit(&self, operation: &'s Operation) -> &'s Schema<'s> {
        let schema = self.structure("Unit", ShapeType::Structure, &[]);
        self.keep(schema.with_http(HttpTrait::new(&operation.method, &operation.uri, None)))
    }

    /// The protocols look labels up by member name; botocore's templates use the name on the wire.
    fn uri(&self, operation: &'s Operation, built: &Built<'s>) -> &'s str {
        let mut uri = std::borrow::Cow::Borrowed(operation.uri.as_str());
        for member in built
            .shape
            .members
            .iter()
            .filter(|m| m.location == Location::Uri)
        {
            if let Some(wire) = member
                .traits
                .location_name
                .as_ref()
                .filter(|w| **w != member.name)
            {
                let plain = uri.replace(&format!("{{{wire}}}"), &format!("{{{}}}", member.name));
                uri = plain
                    .replace(&format!("{{{wire}+}}"), &format!("{{{}+}}", member.name))
                    .into();
            }
        }
        match uri {
            std::borrow::Cow::Borrowed(uri) => uri,
            std::borrow::Cow::Owned(uri) => self.text(uri),
        }
    }

    /// A shape, built the first time it is asked for. `None` for an id of another model.
    pub(super) fn shape(&self, shape_id: ShapeId) -> Option<&'s Built<'s>> {
        if let Some(built) = self.known.borrow().get(&shape_id) {
            return Some(built);
        }
        let shape = self.model.shape(shape_id)?;
        let kind = shape_type(shape.kind);
        let mut members = Vec::with_capacity(shape.members.len());
        for (index, member) in shape.members.iter().enumerate() {
            members.push(self.member(member, index, shape)?);
        }
        let mut element = None;
        let schema = match shape.kind {
            ShapeKind::Structure | ShapeKind::Union => self.structure(&shape.name, kind, &members),
            ShapeKind::List | ShapeKind::Map => {
                let member = shape.element.as_deref()?;
                let target = self.model.shape(member.shape)?;
                let bare = Schema::new(id(&target.name), shape_type(target.kind));
                let bare = self.decorate(bare, Some(&member.traits), target);
                element = Some((member, self.keep(self.attach(bare, target, 0)?)));
                self.attach(Schema::new(id(&shape.name), kind), shape, 0)?
            }
            _ => Schema::new(id(&shape.name), kind),
        };
        let schema = self.keep(self.decorate(schema, None, shape));
        let built: &'s Built<'s> = self.arenas.built.alloc(Built {
            shape,
            schema,
            members,
            element,
        });
        self.known.borrow_mut().insert(shape_id, built);
        Some(built)
    }

    fn structure(&self, name: &'s str, kind: ShapeType, members: &[BuiltMember<'s>]) -> Schema<'s> {
        let schemas: &'s Vec<&'s Schema<'s>> = self
            .arenas
            .members
            .alloc(members.iter().map(|m| m.schema).collect());
        Schema::new_struct(id(name), kind, schemas)
    }

    fn member(
        &self,
        member: &'s Member,
        index: usize,
        parent: &'s Shape,
    ) -> Option<BuiltMember<'s>> {
        let target = self.model.shape(member.shape)?;
        let kind = shape_type(target.kind);
        let location_name = member.traits.location_name.as_deref();
        let wire = match self.protocol {
            Protocol::Json => location_name.unwrap_or(&member.name),
            _ => &member.name,
        };
        let bare = Schema::new_member(id(&target.name), kind, wire, index);
        let mut schema =
            self.attach(self.decorate(bare, Some(&member.traits), target), target, 0)?;
        if let Some(name) = self.xml_name(member, target) {
            schema = schema.with_xml_name(name);
        }
        if let Some(name) = location_name.filter(|_| self.protocol == Protocol::RestJson) {
            schema = schema.with_json_name(name);
        }
        if member.traits.xml_attribute {
            schema = schema.with_xml_attribute();
        }
        let mut payload = None;
        if self.is_rest() {
            schema = self.bind(schema, member, target);
            if parent.payload.as_ref() == Some(&member.name) {
                schema = schema.with_http_payload();
                if target.is_structure() {
                    payload = Some(self.payload(member, target)?);
                }
            }
        }
        let json_value = member.traits.json_value || target.traits.json_value;
        Some(BuiltMember {
            member,
            schema: self.keep(schema),
            payload,
            json_value,
        })
    }

    /// Where a member of a REST protocol travels.
    fn bind(&self, schema: Schema<'s>, member: &'s Member, target: &Shape) -> Schema<'s> {
        let wire = member
            .traits
            .location_name
            .as_deref()
            .unwrap_or(&member.name);
        match member.location {
            Location::Header => schema.with_http_header(intern_header_name(wire)),
            Location::Headers => schema.with_http_prefix_headers(
                member.traits.location_name.as_deref().unwrap_or_default(),
            ),
            Location::Uri => schema.with_http_label(),
            Location::QueryString if target.kind == ShapeKind::Map => {
                schema.with_http_query_params()
            }
            Location::QueryString => schema.with_http_query(wire),
            Location::Body | Location::StatusCode => schema,
        }
    }

    fn payload(&self, member: &'s Member, target: &'s Shape) -> Option<&'s Schema<'s>> {
        let built = self.shape(member.shape)?;
        let mut schema = self.structure(&target.name, shape_type(target.kind), &built.members);
        let traits = &target.traits;
        if let Some(name) = member
            .traits
            .location_name
            .as_ref()
            .or(traits.location_name.as_ref())
        {
            schema = schema.with_xml_name(name);
        }
        let space = member
            .traits
            .xml_namespace
            .as_ref()
            .or(traits.xml_namespace.as_ref());
        Some(self.keep(namespace(schema, space)))
    }

    fn is_flattened(&self, used: Option<&Traits>, target: &Shape) -> bool {
        let always = self.protocol == Protocol::Ec2 && target.kind == ShapeKind::List;
        always || target.traits.flattened || used.is_some_and(|t| t.flattened)
    }

    /// The name on the wire in XML and query strings, where it is not the member's own.
    fn xml_name(&self, member: &'s Member, target: &'s Shape) -> Option<&'s str> {
        let traits = &target.traits;
        let location = member
            .traits
            .location_name
            .as_deref()
            .or(traits.location_name.as_deref());
        match self.protocol {
            Protocol::Ec2 => match member.query_name.as_deref() {
                Some(name) => Some(name),
                None => Some(self.capitalised(location.unwrap_or(&member.name))),
            },
            Protocol::RestXml => location,
            _ => {
                let flat = target.kind == ShapeKind::List
                    && self.is_flattened(Some(&member.traits), target);
                let element = target.element.as_deref().filter(|_| flat);
                element
                    .and_then(|e| e.traits.location_name.as_deref())
                    .or(location)
            }
        }
    }

    fn capitalised(&self, name: &'s str) -> &'s str {
        let mut letters = name.chars();
        match letters.next() {
            Some(first) if first.is_lowercase() => {
                self.text(first.to_uppercase().chain(letters).collect())
            }
            _ => name,
        }
    }

    /// Traits that members and elements share.
    fn decorate(
        &self,
        mut schema: Schema<'s>,
        used: Option<&'s Traits>,
        target: &'s Shape,
    ) -> Schema<'s> {
        if let Some(format) = used
            .and_then(|t| t.timestamp_format)
            .or(target.traits.timestamp_format)
        {
            schema = schema.with_timestamp_format(match format {
                model::TimestampFormat::Iso8601 => TimestampFormat::DateTime,
                model::TimestampFormat::Rfc822 => TimestampFormat::HttpDate,
                model::TimestampFormat::UnixTimestamp => TimestampFormat::EpochSeconds,
            });
        }
        if target.traits.json_value || used.is_some_and(|t| t.json_value) {
            schema = schema.with_media_type("application/json");
        }
        if self.is_flattened(used, target) {
            schema = schema.with_xml_flattened();
        }
        let space = used
            .and_then(|t| t.xml_namespace.as_ref())
            .or(target.traits.xml_namespace.as_ref());
        namespace(schema, space)
    }

    /// Adds the schemas of elements, down to the first structure or scalar.
    fn attach(&self, schema: Schema<'s>, target: &'s Shape, depth: usize) -> Option<Schema<'s>> {
        if depth > MAX_DEPTH {
            return Some(schema);
        }
        Some(match target.kind {
            ShapeKind::List => {
                schema.with_list_member(self.element(target.element.as_deref()?, 0, depth)?)
            }
            ShapeKind::Map => schema.with_map_members(
                self.element(target.key.as_deref()?, 0, depth)?,
                self.element(target.element.as_deref()?, 1, depth)?,
            ),
            _ => schema,
        })
    }

    fn element(&self, member: &'s Member, index: usize, depth: usize) -> Option<&'s Schema<'s>> {
        let target = self.model.shape(member.shape)?;
        let mut schema = Schema::new_member(
            id(&target.name),
            shape_type(target.kind),
            &member.name,
            index,
        );
        if let Some(name) = &member.traits.location_name {
            schema = schema.with_xml_name(name);
        }
        let schema = self.decorate(schema, Some(&member.traits), target);
        Some(self.keep(self.attach(schema, target, depth + 1)?))
    }
}

fn namespace<'s>(schema: Schema<'s>, space: Option<&'s model::XmlNamespace>) -> Schema<'s> {
    match space {
        Some(space) => schema.with_xml_namespace(&space.uri, space.prefix.as_deref()),
        None => schema,
    }
}
