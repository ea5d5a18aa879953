//! The plan in words.
use super::{Plan, Slot, SlotKind, TablePlan};
use palisade_catalog::Scope;
use std::fmt::{Display, Formatter, Result};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut lines = Vec::new();
        for (index, list) in self.lists.iter().enumerate() {
            if list.parent.is_none() {
                self.list_lines(index, 0, &mut lines);
            }
        }
        for table in self.tables.iter().filter(|t| t.list.is_none()) {
            lines.push(format!(
                "{} (one row, {})",
                table.name(),
                scope_text(table.spec.scope)
            ));
            self.slot_lines(table, 1, &mut lines);
        }
        if let Some(tagging) = &self.tagging {
            let name = self.operation_name(tagging.operation);
            lines.push(format!("{name} (regional) -> tags"));
        }
        for line in lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl Plan {
    fn operation_name(&self, operation: usize) -> String {
        let found = self.operations.get(operation);
        found
            .map(|o| format!("{}:{}", o.service(), o.name))
            .unwrap_or_default()
    }

    fn list_lines(&self, index: usize, depth: usize, lines: &mut Vec<String>) {
        let Some(list) = self.lists.get(index) else {
            return;
        };
        let tables: Vec<&TablePlan> = list
            .tables
            .iter()
            .filter_map(|t| self.tables.get(*t))
            .collect();
        let names: Vec<&str> = tables.iter().map(|t| t.name()).collect();
        let place = match list.parent.and_then(|p| self.tables.get(p)) {
            Some(parent) => format!("for each {}", parent.name()),
            None => scope_text(list.scope).to_owned(),
        };
        let before = list
            .before
            .as_ref()
            .map(|b| format!(" after {}", self.operation_name(b.operation)));
        let name = self.operation_name(list.operation);
        let indent = "  ".repeat(depth);
        lines.push(format!(
            "{indent}{name} ({place}{}) -> {}",
            before.unwrap_or_default(),
            names.join(", ")
        ));
        for table in tables {
            self.slot_lines(table, depth + 1, lines);
            for child in &table.children {
                self.list_lines(*child, depth + 1, lines);
            }
        }
    }

    fn slot_lines(&self, table: &TablePlan, depth: usize, lines: &mut Vec<String>) {
        for (index, slot) in table.slots.iter().enumerate() {
            let SlotKind::Call(call) = &slot.kind else {
                continue;
            };
            let fills = |c: &&super::Cell| {
                c.slots.contains(&index) && table.columns.iter().any(|i| same(table, *i, c))
            };
            let columns: Vec<&str> = table
                .cells
                .iter()
                .filter(fills)
                .map(|c| c.name.as_str())
                .collect();
            let each = match &call.batch {
                Some(batch) => format!("for each {} rows", batch.size),
                None => "for each row".to_owned(),
            };
            let after = after_text(self, table, slot);
            let name = self.operation_name(call.operation);
            let indent = "  ".repeat(depth);
            let fills = if columns.is_empty() {
                String::new()
            } else {
                format!(": {}", columns.join(", "))
            };
            lines.push(format!(
                "{indent}{name} ({each}{after}) -> {}{fills}",
                table.name()
            ));
        }
    }
}

fn same(table: &TablePlan, index: usize, cell: &super::Cell) -> bool {
    table.cells.get(index).is_some_and(|c| c.name == cell.name)
}

fn after_text(plan: &Plan, table: &TablePlan, slot: &Slot) -> String {
    let names = slot
        .deps
        .iter()
        .filter_map(|d| table.slots.get(*d))
        .filter_map(|s| match &s.kind {
            SlotKind::Call(call) => Some(plan.operation_name(call.operation)),
            SlotKind::Tagging => None,
        });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" after {}", names.join(", "))
    }
}

fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "global",
        Scope::Regional => "regional",
    }
}
