//! What a decoder needs to know of each shape, worked out the first time that the shape is met.
use palisade_model::{
    Location, Member, Model, Protocol, Shape, ShapeId, ShapeKind, TimestampFormat,
};
use std::sync::{Arc, OnceLock};

/// The plans of one model under one protocol.
#[derive(Debug)]
pub(crate) struct Plans {
    pub(crate) model: Arc<Model>,
    pub(crate) protocol: Protocol,
    /// Boxed: few of a model's shapes are ever met.
    plans: Box<[OnceLock<Box<ShapePlan>>]>,
    unknown: ShapePlan,
}

/// How to read one shape.
#[derive(Debug, Default)]
pub(crate) struct ShapePlan {
    /// Body members: name on the wire → position, sorted by name.
    names: Box<[(Box<str>, u32)]>,
    /// The same names by position; empty for members that are not in the body.
    in_order: Box<[Box<str>]>,
    /// XML attributes: name → position.
    pub(crate) attributes: Box<[(Box<str>, u32)]>,
    /// All members by position.
    pub(crate) members: Box<[Use]>,
    /// A list's element or a map's value.
    pub(crate) element: Option<Use>,
    /// A map's key: its name on the wire.
    pub(crate) key_name: Box<str>,
    /// A map's value: its name on the wire.
    pub(crate) value_name: Box<str>,
    /// Nulls are kept.
    pub(crate) sparse: bool,
}

/// How to read one use of a shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) shape: ShapeId,
    pub(crate) kind: ShapeKind,
    /// XML: the elements follow each other without one around them.
    pub(crate) flattened: bool,
    pub(crate) timestamp: Option<TimestampFormat>,
    /// IAM sends policy documents percent-encoded (IAM API reference, `GetPolicyVersion` and others).
    pub(crate) percent_encoded: bool,
    pub(crate) json_value: bool,
}

impl Plans {
    pub(crate) fn new(model: Arc<Model>, protocol: Protocol) -> Self {
        let plans = (0..model.shapes.len()).map(|_| OnceLock::new()).collect();
        Self {
            model,
            protocol,
            plans,
            unknown: ShapePlan::default(),
        }
    }

    pub(crate) fn of(&self, shape: ShapeId) -> &ShapePlan {
        let cell = self
            .plans
            .get(shape.0 as usize)
            .zip(self.model.shape(shape));
        cell.map_or(&self.unknown, |(cell, shape)| {
            cell.get_or_init(|| Box::new(self.plan(shape)))
        })
    }

    /// How to read a shape that stands by itself.
    pub(crate) fn root(&self, shape: ShapeId) -> Use {
        Use {
            shape,
            kind: self
                .model
                .shape(shape)
                .map_or(ShapeKind::Structure, |s| s.kind),
            flattened: false,
            timestamp: None,
            percent_encoded: false,
            json_value: false,
        }
    }

    fn member(&self, member: &Member) -> Use {
        let mut found = self.root(member.shape);
        if let Some(target) = self.model.shape(member.shape) {
            found.flattened = member.traits.flattened || target.traits.flattened;
            found.timestamp = member
                .traits
                .timestamp_format
                .or(target.traits.timestamp_format);
            found.percent_encoded = self.model.name == "iam" && target.name == "policyDocumentType";
            found.json_value = member.traits.json_value || target.traits.json_value;
        }
        found
    }

    fn wire_name<'m>(&'m self, member: &'m Member) -> &'m str {
        let name = member.traits.location_name.as_deref();
        match self.protocol {
            Protocol::Cbor => &member.name,
            Protocol::Json | Protocol::RestJson => name.unwrap_or(&member.name),
            Protocol::Query | Protocol::Ec2 | Protocol::RestXml => {
                let target = self.model.shape(member.shape);
                let flat = target.filter(|t| {
                    t.kind == ShapeKind::List && (member.traits.flattened || t.traits.flattened)
                });
                let element =
                    flat.and_then(|t| t.element.as_deref()?.traits.location_name.as_deref());
                let own = target.and_then(|t| t.traits.location_name.as_deref());
                element.or(name).or(own).unwrap_or(&member.name)
            }
        }
    }

    fn plan(&self, shape: &Shape) -> ShapePlan {
        let rest = matches!(self.protocol, Protocol::RestJson | Protocol::RestXml);
        let mut names = Vec::new();
        let mut attributes = Vec::new();
        let mut in_order = vec![Box::<str>::default(); shape.members.len()];
        for (index, member) in (0u32..).zip(&shape.members) {
            let entry = (Box::from(self.wire_name(member)), index);
            if member.traits.xml_attribute {
                attributes.push(entry);
            } else if !rest || is_in_body(member.location) {
                if let Some(place) = in_order.get_mut(index as usize) {
                    place.clone_from(&entry.0);
                }
                names.push(entry);
            }
        }
        names.sort_unstable();
        let part = |part: &Option<Box<Member>>, default: &str| {
            let name = part
                .as_deref()
                .and_then(|m| m.traits.location_name.as_deref());
            Box::from(name.unwrap_or(default))
        };
        ShapePlan {
            names: names.into(),
            in_order: in_order.into(),
            attributes: attributes.into(),
            members: shape.members.iter().map(|m| self.member(m)).collect(),
            element: shape.element.as_deref().map(|m| self.member(m)),
            key_name: part(&shape.key, "key"),
            value_name: part(&shape.element, "value"),
            sparse: shape.sparse,
        }
    }
}

/// Where a request has something in its URI, the answer has it in its body.
pub(super) fn is_in_body(location: Location) -> bool {
    !matches!(
        location,
        Location::Header | Location::Headers | Location::StatusCode
    )
}

impl ShapePlan {
    /// As [`Self::find`], where services mostly keep to the model's order: looks at `expected` first.
    pub(crate) fn find_near(&self, expected: usize, name: &[u8]) -> Option<(usize, &Use)> {
        match self
            .in_order
            .get(expected)
            .filter(|known| known.as_bytes() == name && !name.is_empty())
        {
            Some(_) => Some((expected, self.members.get(expected)?)),
            None => self.find(name),
        }
    }

    /// Position and use of the body member of that name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<(usize, &Use)> {
        let at = self
            .names
            .binary_search_by(|(known, _)| known.as_bytes().cmp(name))
            .ok()?;
        let index = self.names.get(at)?.1 as usize;
        Some((index, self.members.get(index)?))
    }
}
