//! JSON as states of resources: finding, setting, comparing, merging.
use palisade_catalog::{StateStep, snake_case};
use palisade_model::{Model, ShapeId, ShapeKind};
use serde_json::{Map, Value as Json};

/// Why a path does not lead to one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// A list that should hold one element is empty.
    Nothing,
    /// A list that should hold one element holds more.
    Several(usize),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("AWS describes no such resource"),
            Self::Several(n) => write!(f, "AWS describes {n} resources where one is meant"),
        }
    }
}

/// The value at a path; `None` when there is none.
pub(crate) fn find(value: &Json, steps: &[StateStep]) -> Result<Option<Json>, Lost> {
    let every = steps.iter().position(|s| *s == StateStep::Every);
    let Some((list, rest)) = every.and_then(|at| steps.split_at_checked(at)) else {
        return Ok(get(value, steps)?.cloned());
    };
    let Some(Json::Array(items)) = get(value, list)? else {
        return Ok(None);
    };
    let rest = rest.get(1..).unwrap_or_default();
    let mut found = Vec::new();
    for item in items {
        found.extend(find(item, rest)?);
    }
    Ok(Some(Json::Array(found)))
}

/// The same where every step leads to one value.
pub(crate) fn get<'v>(value: &'v Json, steps: &[StateStep]) -> Result<Option<&'v Json>, Lost> {
    let mut at = value;
    for step in steps {
        let next = match step {
            StateStep::Every => None,
            StateStep::Member(name) => at.get(name),
            StateStep::Only => match at.as_array().map(Vec::as_slice) {
                Some([one]) => Some(one),
                Some(several) if !several.is_empty() => return Err(Lost::Several(several.len())),
                _ => return Err(Lost::Nothing),
            },
            StateStep::Where(name, value) => {
                let items = at.as_array().into_iter().flatten();
                items
                    .into_iter()
                    .find(|i| i.get(name).and_then(Json::as_str) == Some(value))
            }
        };
        match next {
            None | Some(Json::Null) => return Ok(None),
            Some(next) => at = next,
        }
    }
    Ok(Some(at))
}

/// Puts a value at a path, as far as the path leads somewhere; structures on the way are made.
pub(crate) fn set(value: &mut Json, steps: &[StateStep], new: &Json) {
    let Some((step, rest)) = steps.split_first() else {
        *value = new.clone();
        return;
    };
    let next = match step {
        StateStep::Member(name) => {
            if !value.is_object() {
                *value = Json::Object(Map::new());
            }
            value
                .as_object_mut()
                .map(|map| map.entry(name.clone()).or_insert(Json::Null))
        }
        StateStep::Only => value.as_array_mut().and_then(|items| items.first_mut()),
        // what later items find is what is there: they are stale then, and say so
        StateStep::Every => None,
        StateStep::Where(name, text) => value.as_array_mut().and_then(|items| {
            items
                .iter_mut()
                .find(|i| i.get(name).and_then(Json::as_str) == Some(text))
        }),
    };
    if let Some(next) = next {
        set(next, rest, new);
    }
}

/// The value at a dotted path of parameters.
pub(crate) fn param<'v>(params: &'v Map<String, Json>, path: &str) -> Option<&'v Json> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = params.get(first)?;
    if rest.is_empty() {
        return Some(value);
    }
    value.as_object().and_then(|map| param(map, rest))
}

/// Puts a value at a dotted path of parameters.
pub(crate) fn set_param(params: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => {
            params.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = params
                .entry(first.to_owned())
                .or_insert_with(|| Json::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                set_param(inner, rest, value);
            }
        }
    }
}

/// Whether two states are the same. The order of lists does not matter (AWS answers many in no order), an absent member
/// and null are the same, and policies are compared as what they say: AWS rewrites a list of one as its element.
pub(crate) fn same(a: &Json, b: &Json) -> bool {
    canonical(a) == canonical(b)
}

/// Whether a state has everything that was wanted: AWS may describe more members than were set.
pub(crate) fn reached(observed: &Json, wanted: &Json) -> bool {
    if same(observed, wanted) {
        return true;
    }
    match (observed, wanted) {
        (Json::Object(observed), Json::Object(wanted)) => wanted.iter().all(|(name, value)| {
            value.is_null() || observed.get(name).is_some_and(|o| reached(o, value))
        }),
        (Json::Array(observed), Json::Array(wanted)) => {
            observed.len() == wanted.len()
                && wanted
                    .iter()
                    .all(|w| observed.iter().any(|o| reached(o, w)))
        }
        _ => false,
    }
}

/// Whether an element of a list is the one that is meant: it has every member of the pattern.
pub(crate) fn is_item(element: &Json, item: &Json) -> bool {
    match (element, item) {
        (Json::Object(element), Json::Object(item)) => item
            .iter()
            .all(|(name, value)| element.get(name).is_some_and(|e| same(e, value))),
        (element, item) => same(element, item),
    }
}

/// A form in which equal states have equal texts.
fn canonical(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let mut entries: Vec<String> = map
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(name, v)| format!("{}:{}", Json::from(name.as_str()), canonical(v)))
                .collect();
            entries.sort_unstable();
            format!("{{{}}}", entries.join(","))
        }
        Json::Array(items) => {
            let mut items: Vec<String> = items.iter().map(canonical).collect();
            items.sort_unstable();
            format!("[{}]", items.join(","))
        }
        Json::String(text) if text.trim_start().starts_with('{') => {
            match serde_json::from_str::<Json>(text) {
                Ok(document) => canonical(&without_lists_of_one(&document)),
                Err(_) => value.to_string(),
            }
        }
        // AWS answers `1.0` where `1` was sent
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                format!("{float:.0}")
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn without_lists_of_one(value: &Json) -> Json {
    match value {
        Json::Array(items) => match items.as_slice() {
            [one] => without_lists_of_one(one),
            _ => items.iter().map(without_lists_of_one).collect(),
        },
        Json::Object(map) => Json::Object(
            map.iter()
                .map(|(name, v)| (name.clone(), without_lists_of_one(v)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// What is there with what is wanted in its place: nothing that was not spoken of is lost. Elements of lists of
/// structures belong together by a member, else by position.
pub(crate) fn merge(before: &Json, wanted: &Json, by: Option<&str>) -> Json {
    match (before, wanted) {
        (Json::Object(before), Json::Object(wanted)) => {
            let mut merged = before.clone();
            for (name, value) in wanted {
                let old = before.get(name).unwrap_or(&Json::Null);
                merged.insert(name.clone(), merge(old, value, by));
            }
            Json::Object(merged)
        }
        (Json::Array(before), Json::Array(wanted)) if wanted.iter().all(Json::is_object) => {
            let mut merged = before.clone();
            for (index, value) in wanted.iter().enumerate() {
                let at = match by {
                    Some(key) => value
                        .get(key)
                        .filter(|wanted| !wanted.is_null())
                        .and_then(|wanted| before.iter().position(|b| b.get(key) == Some(wanted))),
                    None => Some(index).filter(|i| *i < before.len()),
                };
                match at.and_then(|at| merged.get_mut(at)) {
                    Some(old) => *old = merge(old, value, by),
                    None => merged.push(value.clone()),
                }
            }
            Json::Array(merged)
        }
        _ => wanted.clone(),
    }
}

/// Whether [`merge`] would have to guess by position which of several elements is meant.
pub(crate) fn is_ambiguous(before: &Json, wanted: &Json, by: Option<&str>) -> bool {
    match (before, wanted) {
        (Json::Object(before), Json::Object(wanted)) => wanted.iter().any(|(name, value)| {
            let old = before.get(name).unwrap_or(&Json::Null);
            is_ambiguous(old, value, by)
        }),
        (Json::Array(before), Json::Array(wanted)) if wanted.iter().any(Json::is_object) => {
            let Some(key) = by else {
                let mut pairs = before.iter().zip(wanted);
                return before.len() > 1 || pairs.any(|(b, w)| is_ambiguous(b, w, by));
            };
            wanted.iter().any(|w| match w.get(key) {
                None | Some(Json::Null) => !before.is_empty(),
                same => before
                    .iter()
                    .any(|b| b.get(key) == same && is_ambiguous(b, w, by)),
            })
        }
        _ => false,
    }
}

/// The value without what the input does not take: answers describe more than calls set.
pub(crate) fn prune(model: &Model, shape: Option<ShapeId>, value: &Json) -> Json {
    let Some(of) = shape.and_then(|s| model.shape(s)) else {
        return value.clone();
    };
    let element = of.element.as_ref().map(|e| e.shape);
    match (of.kind, value) {
        (ShapeKind::Structure | ShapeKind::Union, Json::Object(map)) => Json::Object(
            map.iter()
                .filter_map(|(name, v)| {
                    let (_, member) = of.member(name)?;
                    Some((name.clone(), prune(model, Some(member.shape), v)))
                })
                .collect(),
        ),
        (ShapeKind::List, Json::Array(items)) => {
            items.iter().map(|v| prune(model, element, v)).collect()
        }
        _ => value.clone(),
    }
}

/// Parameters with the names that the input has: structures of rows have the model's members in snake case.
///
/// # Errors
/// The member of a structure that the input does not take.
pub(crate) fn as_input(
    model: &Model,
    operation: &str,
    params: &Map<String, Json>,
) -> Result<Map<String, Json>, String> {
    let input = model.operation(operation).and_then(|o| o.input.as_ref());
    match named(
        model,
        input.map(|i| i.shape),
        &Json::Object(params.clone()),
        operation,
    )? {
        Json::Object(params) => Ok(params),
        _ => Ok(Map::new()),
    }
}

fn named(model: &Model, shape: Option<ShapeId>, value: &Json, place: &str) -> Result<Json, String> {
    let Some(of) = shape.and_then(|s| model.shape(s)) else {
        return Ok(value.clone());
    };
    let element = of.element.as_ref().map(|e| e.shape);
    match (of.kind, value) {
        (ShapeKind::Structure | ShapeKind::Union, Json::Object(map)) => {
            let mut out = Map::new();
            for (name, v) in map {
                let spelled = |m: &&palisade_model::Member| snake_case(&m.name) == *name;
                let member = of.member(name).map(|(_, m)| m);
                let member = member.or_else(|| of.members.iter().find(spelled));
                let member = member.ok_or_else(|| format!("`{place}` takes no `{name}`"))?;
                let inside = format!("{place}.{}", member.name);
                let v = named(model, Some(member.shape), v, &inside)?;
                out.insert(member.name.clone(), v);
            }
            Ok(Json::Object(out))
        }
        (ShapeKind::List, Json::Array(items)) => items
            .iter()
            .map(|v| named(model, element, v, place))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        (ShapeKind::Map, Json::Object(map)) => map
            .iter()
            .map(|(name, v)| Ok((name.clone(), named(model, element, v, place)?)))
            .collect::<Result<Map<_, _>, String>>()
            .map(Json::Object),
        _ => Ok(value.clone()),
    }
}

/// The shape at a dotted path of an operation's input.
pub(crate) fn input_shape(model: &Model, operation: &str, path: &str) -> Option<ShapeId> {
    let mut shape = model.operation(operation)?.input.as_ref()?.shape;
    for name in path.split('.') {
        let of = model.shape(shape)?;
        shape = match of.kind {
            ShapeKind::Map => of.element.as_ref()?.shape,
            _ => of.member(name)?.1.shape,
        };
    }
    Some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_catalog::parse_state_path;
    use serde_json::json;

    #[test]
    fn paths_find_and_set() {
        assert_eq!(
            find(
                &json!({"A": [{"B": 1}, {"B": 2}]}),
                &parse_state_path("A[*].B").unwrap()
            ),
            Ok(Some(json!([1, 2])))
        );
        let mut state =
            json!({"A": [{"B": {"C": 1}}], "D": [{"N": "x", "V": 1}, {"N": "y", "V": 2}]});
        let at = |path: &str| parse_state_path(path).unwrap();
        assert_eq!(get(&state, &at("A[].B.C")), Ok(Some(&json!(1))));
        assert_eq!(get(&state, &at("D[N=y].V")), Ok(Some(&json!(2))));
        assert_eq!(get(&state, &at("D[N=z].V")), Ok(None));
        assert_eq!(get(&state, &at("D[].V")), Err(Lost::Several(2)));
        assert_eq!(get(&json!({"A": []}), &at("A[].B")), Err(Lost::Nothing));
        set(&mut state, &at("D[N=y].V"), &json!(3));
        set(&mut state, &at("E.F"), &json!(true));
        assert_eq!(state["D"][1]["V"], 3);
        assert_eq!(state["E"], json!({"F": true}));
    }

    #[test]
    fn sameness() {
        assert!(same(
            &json!({"a": [1, 2], "b": null}),
            &json!({"a": [2, 1]})
        ));
        assert!(!same(&json!([1, 1, 2]), &json!([1, 2, 2])));
        assert!(same(
            &json!("{\"Statement\":[{\"Action\":[\"s3:*\"]}]}"),
            &json!("{ \"Statement\": {\"Action\": \"s3:*\"} }")
        ));
        assert!(!same(&json!("true"), &json!(true)));
        assert!(same(&json!({"Threshold": 1.0}), &json!({"Threshold": 1})));
        assert!(!same(&json!(1.5), &json!(1)));
        assert!(!same(&json!(u64::MAX), &json!(u64::MAX - 1)));
        assert!(reached(
            &json!({"Rules": [{"A": {"S": "x"}, "B": false}]}),
            &json!({"Rules": [{"A": {"S": "x"}}]})
        ));
        assert!(!reached(&json!([1, 2]), &json!([1])));
    }

    #[test]
    fn structures_of_rows_take_the_names_of_the_input() {
        let model = palisade_model::Models::embedded().get("ec2").unwrap();
        let of = |params: &Json| {
            as_input(
                &model,
                "RevokeSecurityGroupIngress",
                params.as_object().unwrap(),
            )
        };
        let row = json!({"GroupId": "sg-1", "IpPermissions": [{"ip_protocol": "tcp", "from_port": 22,
            "ip_ranges": [{"cidr_ip": "0.0.0.0/0"}], "ipv6_ranges": [{"cidr_ipv6": "::/0"}],
            "user_id_group_pairs": [{"group_id": "sg-2", "user_id": "1"}]}]});
        let named = json!({"GroupId": "sg-1", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22,
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "UserIdGroupPairs": [{"GroupId": "sg-2", "UserId": "1"}]}]});
        assert_eq!(Json::Object(of(&row).unwrap()), named);
        assert_eq!(Json::Object(of(&named).unwrap()), named);
        let other = json!({"IpPermissions": [{"ip_range": []}]});
        let why = of(&other).unwrap_err();
        assert_eq!(
            why,
            "`RevokeSecurityGroupIngress.IpPermissions` takes no `ip_range`"
        );
    }

    #[test]
    fn merging_loses_nothing() {
        assert_eq!(
            merge(
                &json!({"a": 1, "n": {"x": 1, "y": 2}}),
                &json!({"n": {"x": 3}}),
                None
            ),
            json!({"a": 1, "n": {"x": 3, "y": 2}})
        );
        assert_eq!(
            merge(
                &json!([{"K": "a", "V": 1, "W": 5}, {"K": "b", "V": 2}]),
                &json!([{"K": "b", "V": 3}, {"K": "c", "V": 4}]),
                Some("K")
            ),
            json!([{"K": "a", "V": 1, "W": 5}, {"K": "b", "V": 3}, {"K": "c", "V": 4}])
        );
        assert_eq!(
            merge(&json!([{"x": 1, "y": 2}]), &json!([{"x": 3}]), None),
            json!([{"x": 3, "y": 2}])
        );
        assert_eq!(merge(&Json::Null, &json!([1]), None), json!([1]));
        // two that have no id are not the same one
        assert_eq!(
            merge(&json!([{"V": 1}]), &json!([{"V": 2}]), Some("ID")),
            json!([{"V": 1}, {"V": 2}])
        );
        // EKS describes which kinds are on and which are off as two elements
        let two =
            json!([{"types": ["api"], "enabled": true}, {"types": ["audit"], "enabled": false}]);
        let wanted = json!([{"types": ["api", "audit"], "enabled": true}]);
        assert!(is_ambiguous(&two, &wanted, None));
        assert!(!is_ambiguous(&json!([{"types": ["api"]}]), &wanted, None));
        assert!(is_ambiguous(&two, &wanted, Some("ID")));
    }
}
