//! XML answers in one pass over `quick-xml`'s events.
use super::DecodeError;
use super::plan::{Plans, ShapePlan, Use};
use super::scalar;
use palisade_model::{Record, ShapeId, ShapeKind, Value};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::borrow::Cow;

/// Deeper answers are refused: recursive shapes must not exhaust the stack.
const MAX_DEPTH: usize = 100;

/// A document whose root element is open.
pub(super) struct Document<'p, 'b> {
    plans: &'p Plans,
    reader: Reader<&'b [u8]>,
    depth: usize,
}

fn bad(error: &impl std::fmt::Display) -> DecodeError {
    DecodeError::new(format!("malformed XML: {error}"))
}

fn ended() -> DecodeError {
    DecodeError::new("the XML ends too early".to_owned())
}

impl<'p, 'b> Document<'p, 'b> {
    /// Goes to the root element.
    pub(super) fn open(
        plans: &'p Plans,
        body: &'b [u8],
    ) -> Result<(Self, BytesStart<'b>), DecodeError> {
        let text = std::str::from_utf8(body)
            .map_err(|_| DecodeError::new("the XML is not UTF-8".to_owned()))?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut document = Self {
            plans,
            reader,
            depth: 0,
        };
        loop {
            match document.next()? {
                Event::Start(root) => return Ok((document, root)),
                Event::Text(text) if !is_blank(&text) => {
                    return Err(DecodeError::new("the answer is not XML".to_owned()));
                }
                _ => {}
            }
        }
    }

    /// The next event; the end of the text is an error, since an element is open whenever this is called.
    fn next(&mut self) -> Result<Event<'b>, DecodeError> {
        match self.reader.read_event().map_err(|e| bad(&e))? {
            Event::Eof => Err(ended()),
            event => Ok(event),
        }
    }

    /// The next child element; `None` at the end of the open element.
    pub(super) fn child(&mut self) -> Result<Option<BytesStart<'b>>, DecodeError> {
        loop {
            match self.next()? {
                Event::Start(child) => return Ok(Some(child)),
                Event::End(_) => return Ok(None),
                _ => {}
            }
        }
    }

    pub(super) fn skip(&mut self, element: &BytesStart<'b>) -> Result<(), DecodeError> {
        self.reader
            .read_to_end(element.name())
            .map(drop)
            .map_err(|e| bad(&e))
    }

    /// After the root's end there may be blanks and comments only.
    pub(super) fn close(mut self) -> Result<(), DecodeError> {
        loop {
            match self.reader.read_event().map_err(|e| bad(&e))? {
                Event::Eof => return Ok(()),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Text(text) if is_blank(&text) => {}
                _ => return Err(DecodeError::new("something follows the XML".to_owned())),
            }
        }
    }

    /// The text of the open element, up to and with its end. Elements inside are skipped.
    pub(super) fn text(&mut self) -> Result<Cow<'b, str>, DecodeError> {
        let mut text = Cow::Borrowed("");
        loop {
            match self.next()? {
                Event::Text(part) => append(&mut text, part.decode().map_err(|e| bad(&e))?),
                Event::CData(part) => append(&mut text, part.decode().map_err(|e| bad(&e))?),
                Event::GeneralRef(reference) => {
                    let char_ref = reference.resolve_char_ref().map_err(|e| bad(&e))?;
                    match char_ref {
                        Some(letter) => text.to_mut().push(letter),
                        None => {
                            let name = reference.decode().map_err(|e| bad(&e))?;
                            let known = quick_xml::escape::resolve_predefined_entity(&name);
                            text.to_mut().push_str(
                                known.ok_or_else(|| bad(&format!("unknown entity `{name}`")))?,
                            );
                        }
                    }
                }
                Event::Start(inner) => self.skip(&inner)?,
                Event::End(_) => return Ok(text),
                _ => {}
            }
        }
    }

    /// The members of a structure inside the open element, up to and with its end.
    pub(super) fn structure(
        &mut self,
        shape: ShapeId,
        element: Option<&BytesStart<'_>>,
    ) -> Result<Record, DecodeError> {
        let plans = self.plans;
        let plan = plans.of(shape);
        let mut fields = vec![Value::Null; plan.members.len()];
        if let Some(element) = element.filter(|_| !plan.attributes.is_empty()) {
            read_attributes(plan, element, &mut fields)?;
        }
        let mut expected = 0;
        while let Some(child) = self.child()? {
            match plan.find_near(expected, child.local_name().as_ref()) {
                Some((index, using)) => {
                    expected = index + 1;
                    if let Some(field) = fields.get_mut(index) {
                        self.into(using, &child, field)?;
                    }
                }
                None => self.skip(&child)?,
            }
        }
        Ok(Record { shape, fields })
    }

    /// Reads the open element into a place where, for flattened lists and maps, siblings may already be.
    fn into(
        &mut self,
        using: &Use,
        element: &BytesStart<'b>,
        place: &mut Value,
    ) -> Result<(), DecodeError> {
        let plan = self.plans.of(using.shape);
        match (using.kind, &plan.element) {
            (ShapeKind::List, Some(inner)) if using.flattened => {
                let value = self.value(inner, element)?;
                match place {
                    Value::List(items) => items.push(value),
                    place => *place = Value::List(vec![value]),
                }
            }
            (ShapeKind::Map, Some(inner)) if using.flattened => {
                let mut entries = match std::mem::take(place) {
                    Value::Map(entries) => entries,
                    _ => Vec::new(),
                };
                entries.extend(self.entry(plan, inner)?);
                *place = Value::Map(entries);
            }
            _ => *place = self.value(using, element)?,
        }
        Ok(())
    }

    pub(super) fn value(
        &mut self,
        using: &Use,
        element: &BytesStart<'b>,
    ) -> Result<Value, DecodeError> {
        let nested = matches!(
            using.kind,
            ShapeKind::Structure | ShapeKind::Union | ShapeKind::List | ShapeKind::Map
        );
        if !nested {
            return scalar::from_text(using, self.text()?);
        }
        if self.depth >= MAX_DEPTH {
            return Err(DecodeError::new("the XML is nested too deeply".to_owned()));
        }
        self.depth += 1;
        let plan = self.plans.of(using.shape);
        let value = match (using.kind, &plan.element) {
            (ShapeKind::Structure | ShapeKind::Union, _) => {
                Value::Struct(Box::new(self.structure(using.shape, Some(element))?))
            }
            (ShapeKind::List, Some(inner)) => {
                let mut items = Vec::new();
                while let Some(child) = self.child()? {
                    items.push(self.value(inner, &child)?);
                }
                Value::List(items)
            }
            (ShapeKind::Map, Some(inner)) => {
                let mut entries = Vec::new();
                while self.child()?.is_some() {
                    entries.extend(self.entry(plan, inner)?);
                }
                Value::Map(entries)
            }
            _ => scalar::from_text(using, self.text()?)?,
        };
        self.depth -= 1;
        Ok(value)
    }

    /// A map's entry: `<key>` and `<value>` inside the open element.
    fn entry(
        &mut self,
        plan: &ShapePlan,
        inner: &Use,
    ) -> Result<Option<(Box<str>, Value)>, DecodeError> {
        let mut key = None;
        let mut value = Value::Null;
        while let Some(child) = self.child()? {
            let name = child.local_name();
            if name.as_ref() == plan.key_name.as_bytes() {
                key = Some(Box::from(self.text()?));
            } else if name.as_ref() == plan.value_name.as_bytes() {
                value = self.value(inner, &child)?;
            } else {
                self.skip(&child)?;
            }
        }
        Ok(key.map(|key| (key, value)))
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter()
        .all(|b| b.is_ascii_whitespace() || b"\xef\xbb\xbf".contains(b))
}

fn append<'b>(text: &mut Cow<'b, str>, part: Cow<'b, str>) {
    if text.is_empty() {
        *text = part;
    } else {
        text.to_mut().push_str(&part);
    }
}

fn read_attributes(
    plan: &ShapePlan,
    element: &BytesStart<'_>,
    fields: &mut [Value],
) -> Result<(), DecodeError> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|e| bad(&e))?;
        let known = plan
            .attributes
            .iter()
            .find(|(name, _)| name.as_bytes() == attribute.key.as_ref());
        let Some((_, index)) = known else { continue };
        let text = attribute.unescape_value().map_err(|e| bad(&e))?;
        let index = *index as usize;
        if let Some((using, field)) = plan.members.get(index).zip(fields.get_mut(index)) {
            *field = scalar::from_text(using, text)?;
        }
    }
    Ok(())
}
