//! In which order calls depend on each other.
use super::{ListPlan, SlotKind, TablePlan};
use crate::error::PlanError;
use crate::template::Part;
use std::collections::BTreeSet;

/// How many calls follow each other from each list and slot on, children first.
pub(super) fn heights(tables: &mut [TablePlan], lists: &mut [ListPlan]) -> Result<(), PlanError> {
    for position in (0..tables.len()).rev() {
        let Some(table) = tables.get(position) else {
            continue;
        };
        let mut heights: Vec<u32> = vec![0; table.slots.len()];
        for slot in slot_order(table)?.into_iter().rev() {
            let after = table
                .slots
                .iter()
                .enumerate()
                .filter(|(_, s)| s.deps.contains(&slot));
            let after = after
                .filter_map(|(i, _)| heights.get(i).copied())
                .max()
                .unwrap_or(0);
            let lists = table.children.iter().filter_map(|l| lists.get(*l));
            let below = lists
                .filter(|l| l.deps.contains(&slot))
                .map(|l| l.height)
                .max()
                .unwrap_or(0);
            if let Some(height) = heights.get_mut(slot) {
                *height = 1 + after.max(below);
            }
        }
        let children = table
            .children
            .iter()
            .filter_map(|l| lists.get(*l))
            .map(|l| l.height);
        let below = heights.iter().copied().chain(children).max().unwrap_or(0);
        let own = table.list;
        if let Some(table) = tables.get_mut(position) {
            for (slot, height) in table.slots.iter_mut().zip(heights) {
                slot.height = height;
            }
        }
        if let Some(list) = own.and_then(|l| lists.get_mut(l)) {
            let first = u32::from(list.before.is_some());
            list.height = list.height.max(1 + below + first);
        }
    }
    Ok(())
}

/// True when region and ARN are known as soon as a row is listed.
pub(super) fn listed_only(table: &TablePlan) -> bool {
    let cells = table.region_cells.iter().chain(&table.arn);
    table.arn.is_some()
        && cells
            .filter_map(|c| table.cells.get(*c))
            .all(|c| c.slots.is_empty())
}

/// Which slots each slot waits for, and which of them tell the row's region.
pub(super) fn order_slots(table: &mut TablePlan) -> Result<(), PlanError> {
    let slots_of = |cell: usize| {
        table
            .cells
            .get(cell)
            .map(|c| c.slots.clone())
            .unwrap_or_default()
    };
    let mut own: Vec<BTreeSet<usize>> = Vec::new();
    for slot in &table.slots {
        let mut deps = BTreeSet::new();
        match &slot.kind {
            SlotKind::Tagging => deps.extend(table.arn.iter().flat_map(|c| slots_of(*c))),
            SlotKind::Call(call) => {
                call.params.visit(&mut |part| {
                    if let Part::Cell(cell) = part {
                        deps.extend(slots_of(*cell));
                    }
                });
                deps.extend(call.when.iter().flat_map(|(cell, _)| slots_of(*cell)));
                deps.extend(call.batch.iter().flat_map(|b| slots_of(b.of)));
            }
        }
        own.push(deps);
    }
    // What tells the region, and all that this needs.
    let mut telling: BTreeSet<usize> = table
        .region_cells
        .iter()
        .flat_map(|c| slots_of(*c))
        .collect();
    loop {
        let more: BTreeSet<usize> = telling
            .iter()
            .filter_map(|s| own.get(*s))
            .flatten()
            .copied()
            .chain(telling.iter().copied())
            .collect();
        if more == telling {
            break;
        }
        telling = more;
    }
    table.region_slots = telling.iter().copied().collect();
    for (index, (slot, mut deps)) in table.slots.iter_mut().zip(own).enumerate() {
        slot.tells_region = telling.contains(&index);
        if !slot.tells_region {
            deps.extend(telling.iter().copied());
        }
        slot.deps = deps.into_iter().collect();
    }
    slot_order(table).map(|_| ())
}

/// The slots, each after those that it waits for.
fn slot_order(table: &TablePlan) -> Result<Vec<usize>, PlanError> {
    let mut order: Vec<usize> = Vec::new();
    while order.len() < table.slots.len() {
        let before = order.len();
        for (index, slot) in table.slots.iter().enumerate() {
            if !order.contains(&index) && slot.deps.iter().all(|d| order.contains(d)) {
                order.push(index);
            }
        }
        if order.len() == before {
            return Err(PlanError::Cycle {
                table: table.spec.name.clone(),
                what: "calls for rows".to_owned(),
            });
        }
    }
    Ok(order)
}
