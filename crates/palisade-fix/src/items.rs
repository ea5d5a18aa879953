//! Elements that a call adds to a list of the state or takes from it.
use crate::json::{is_item, param, same};
use crate::template::Scope;
use palisade_catalog::Items;
use serde_json::{Map, Value as Json};

/// What a call makes of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    /// The list as it will be.
    pub(crate) after: Vec<Json>,
    /// The parameter that lists the elements, with only those that are there; `None` where it is sent as it is.
    pub(crate) sent: Option<Vec<Json>>,
    /// What is added or taken away, as the parameter takes it: `${items}`.
    pub(crate) affected: Vec<Json>,
}

/// What the call with these parameters makes of the list `there`.
///
/// # Errors
/// When a parameter that it needs is missing, or no list.
pub(crate) fn make(
    items: &Items,
    params: &Map<String, Json>,
    there: &[Json],
) -> Result<Made, String> {
    let named = match &items.each {
        None => vec![Json::Null],
        Some(path) => match param(params, path) {
            Some(Json::Array(list)) => list.clone(),
            _ => return Err(format!("`{path}` is no list")),
        },
    };
    if !items.by.is_empty() {
        return Ok(take(items, &named, there));
    }
    let mut made = Made {
        after: there.to_vec(),
        sent: None,
        affected: Vec::new(),
    };
    for name in named {
        let scope = Scope {
            item: Some(&name),
            ..Scope::of(params)
        };
        let item = scope.json(&items.item)?;
        let present = there.iter().any(|e| is_item(e, &item));
        match (items.adds, present) {
            (true, false) => {
                made.after.push(item);
                made.affected.push(name);
            }
            (false, true) => {
                made.after.retain(|e| !is_item(e, &item));
                made.affected.push(name);
            }
            _ => {}
        }
    }
    Ok(made)
}

/// Takes away the elements that are named by their members, or what is named of the lists inside them. Nothing else is
/// touched: neither an element of other members, nor what else is in the lists.
fn take(items: &Items, named: &[Json], there: &[Json]) -> Made {
    let (mut after, mut sent, mut affected) = (Vec::new(), Vec::new(), Vec::new());
    for element in there {
        let meant: Vec<&Json> = named
            .iter()
            .filter(|n| agree(n, element, &items.by))
            .collect();
        let mut taken = only(element, &items.by);
        if items.inner.is_empty() {
            if meant.is_empty() {
                after.push(element.clone());
            } else {
                sent.push(Json::Object(taken.clone()));
                affected.push(Json::Object(taken));
            }
            continue;
        }
        let mut back = taken.clone();
        let mut left = element.clone();
        let mut is_touched = false;
        for (name, inner) in &items.inner {
            let named = meant.iter().filter_map(|n| n.get(name)?.as_array());
            let named: Vec<&Json> = named.flatten().collect();
            let list = element.get(name).and_then(Json::as_array);
            let is_named = |e: &&Json| named.iter().any(|n| agree(n, e, &inner.by));
            let (gone, kept): (Vec<&Json>, Vec<&Json>) =
                list.into_iter().flatten().partition(is_named);
            if gone.is_empty() {
                continue;
            }
            is_touched = true;
            let with: Vec<String> = inner.by.iter().chain(&inner.with).cloned().collect();
            let of = |members: &[String]| -> Json {
                gone.iter()
                    .map(|e| Json::Object(only(e, members)))
                    .collect()
            };
            taken.insert(name.clone(), of(&inner.by));
            back.insert(name.clone(), of(&with));
            if let Some(map) = left.as_object_mut() {
                map.insert(name.clone(), kept.into_iter().cloned().collect());
            }
        }
        if !is_touched {
            after.push(element.clone());
            continue;
        }
        sent.push(Json::Object(taken));
        affected.push(Json::Object(back));
        let holds = |name: &String| {
            let list = left.get(name).and_then(Json::as_array);
            list.is_some_and(|l| !l.is_empty())
        };
        if items.inner.keys().any(holds) {
            after.push(left);
        }
    }
    Made {
        after,
        sent: Some(sent),
        affected,
    }
}

/// Whether two structures have the same values there; absent and null are the same.
fn agree(a: &Json, b: &Json, members: &[String]) -> bool {
    members.iter().all(|name| {
        let of = |value: &'_ Json| value.get(name).cloned().unwrap_or(Json::Null);
        same(&of(a), &of(b))
    })
}

/// A structure with these members alone, as far as it has them.
fn only(element: &Json, members: &[String]) -> Map<String, Json> {
    let member = |name: &String| {
        let value = element.get(name).filter(|v| !v.is_null())?;
        Some((name.clone(), value.clone()))
    };
    members.iter().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_catalog::{Source, load};
    use proptest::prelude::*;
    use serde_json::json;
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    static REVOKE: LazyLock<Items> = LazyLock::new(|| {
        let catalog = load(&[Source::embedded()]).catalog;
        let change = &catalog.changes["ec2"]["RevokeSecurityGroupIngress"];
        change.items.clone().unwrap()
    });

    fn made(named: Json, there: &Json) -> Made {
        let params = json!({"GroupId": "sg-1", "IpPermissions": named});
        let there = there.as_array().unwrap();
        make(&REVOKE, params.as_object().unwrap(), there).unwrap()
    }

    #[test]
    fn only_what_is_named_is_taken() {
        let there = json!([
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
             "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "for a day"}, {"CidrIp": "10.0.0.0/8"}],
             "Ipv6Ranges": [{"CidrIpv6": "::/0"}], "PrefixListIds": [{"PrefixListId": "pl-1"}],
             "UserIdGroupPairs": [{"UserId": "123456789012", "GroupId": "sg-2", "Description": "own"}]},
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": []},
        ]);
        let made = made(
            json!([
                {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
                 "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "as a row has it"}, {"CidrIp": "192.0.2.0/24"}],
                 "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
                {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
                {"IpProtocol": "-1", "FromPort": null, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            ]),
            &there,
        );
        assert_eq!(
            made.after,
            [
                json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
                       "Ipv6Ranges": [], "PrefixListIds": [{"PrefixListId": "pl-1"}],
                       "UserIdGroupPairs": [{"UserId": "123456789012", "GroupId": "sg-2", "Description": "own"}]}),
                there[1].clone(),
            ]
        );
        let all = json!({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]});
        assert_eq!(
            made.sent.unwrap(),
            [
                json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
                       "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}),
                all.clone(),
            ]
        );
        assert_eq!(
            made.affected,
            [
                json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
                       "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "for a day"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}),
                all,
            ]
        );
    }

    /// What is in the lists inside, one by one: a rule of a security group.
    fn rules(list: &[Json]) -> BTreeSet<String> {
        let items = &*REVOKE;
        let mut found = BTreeSet::new();
        for element in list {
            let of = Json::Object(only(element, &items.by));
            for (name, inner) in &items.inner {
                let list = element.get(name).and_then(Json::as_array);
                for one in list.into_iter().flatten() {
                    let one = Json::Object(only(one, &inner.by));
                    assert!(found.insert(format!("{of} {name} {one}")), "named twice");
                }
            }
        }
        found
    }

    /// Permissions as AWS describes them: one for each protocol and ports, each range in it once.
    fn permissions() -> impl Strategy<Value = Vec<Json>> {
        let some = |all: &'static [&'static str]| proptest::sample::subsequence(all, 0..=all.len());
        let permission = (
            some(&["0.0.0.0/0", "0.0.0.0/1", "10.0.0.0/8", "192.0.2.1/32"]),
            some(&["::/0", "2001:db8::/32"]),
            some(&["pl-1", "pl-2"]),
            some(&["sg-1", "sg-2"]),
            any::<bool>(),
        );
        let of = |(protocol, from, to): (&str, i64, i64),
                  ranges: (Vec<&str>, Vec<&str>, Vec<&str>, Vec<&str>, bool)| {
            let (v4, v6, lists, groups, described) = ranges;
            let each = |names: Vec<&str>, member: &str| -> Json {
                let one = |name: &&str| {
                    let mut one = json!({member: name});
                    if described {
                        one["Description"] = json!(format!("why {name}"));
                    }
                    if member == "GroupId" {
                        one["UserId"] = json!("123456789012");
                    }
                    one
                };
                names.iter().map(one).collect()
            };
            let mut permission = json!({
                "IpProtocol": protocol, "IpRanges": each(v4, "CidrIp"), "Ipv6Ranges": each(v6, "CidrIpv6"),
                "PrefixListIds": each(lists, "PrefixListId"), "UserIdGroupPairs": each(groups, "GroupId"),
            });
            if protocol != "-1" {
                permission["FromPort"] = json!(from);
                permission["ToPort"] = json!(to);
            }
            permission
        };
        let kinds: Vec<(&str, i64, i64)> = vec![
            ("-1", 0, 0),
            ("tcp", 22, 22),
            ("tcp", 20, 25),
            ("udp", 22, 22),
            ("icmp", 8, -1),
        ];
        proptest::collection::vec(permission, kinds.len()).prop_map(move |all| {
            let all = kinds
                .iter()
                .zip(all)
                .map(|(kind, ranges)| of(*kind, ranges));
            all.collect()
        })
    }

    proptest! {
        #[test]
        fn exactly_what_matches_is_removed(there in permissions(), named in permissions()) {
            let items = &*REVOKE;
            let empty = |element: &Json| items.inner.keys().all(|n| element[n] == json!([]));
            let there: Vec<Json> = there.into_iter().filter(|e| !empty(e)).collect();
            let taken = made(Json::Array(named.clone()), &Json::Array(there.clone()));
            let (before, wanted) = (rules(&there), rules(&named));
            let gone: BTreeSet<String> = before.intersection(&wanted).cloned().collect();
            let kept: BTreeSet<String> = before.difference(&wanted).cloned().collect();
            // what is sent is what goes, and the rest stays
            prop_assert_eq!(&rules(taken.sent.as_ref().unwrap()), &gone);
            prop_assert_eq!(&rules(&taken.affected), &gone);
            prop_assert_eq!(&rules(&taken.after), &kept);
            // with everything that is said about it, and nothing is left empty
            for element in &taken.after {
                prop_assert!(!empty(element));
                let old = there.iter().find(|e| agree(e, element, &items.by)).unwrap();
                for name in items.inner.keys() {
                    for one in element[name].as_array().unwrap() {
                        prop_assert!(old[name].as_array().unwrap().contains(one));
                    }
                }
            }
            // what was taken, put back where it was, is what was there
            let mut back = taken.after.clone();
            for element in &taken.affected {
                match back.iter_mut().find(|e| agree(e, element, &items.by)) {
                    None => back.push(element.clone()),
                    Some(at) => for name in items.inner.keys() {
                        let more = element.get(name).and_then(Json::as_array).cloned().unwrap_or_default();
                        at[name].as_array_mut().unwrap().extend(more);
                    },
                }
            }
            let full = |list: &[Json]| -> Json {
                list.iter().map(|e| {
                    let mut e = e.clone();
                    for name in items.inner.keys() {
                        if e.get(name).is_none() {
                            e[name] = json!([]);
                        }
                    }
                    e
                }).collect()
            };
            prop_assert!(same(&full(&back), &full(&there)));
            // and taking it away a second time is nothing to do
            let again = made(Json::Array(named), &Json::Array(taken.after.clone()));
            prop_assert_eq!(again.sent.unwrap(), Vec::<Json>::new());
            prop_assert_eq!(again.after, taken.after);
        }
    }
}
