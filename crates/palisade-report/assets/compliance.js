// Frameworks: those that were selected as the scan judged them (`D.rollup`), the others from the requirements that
// findings carry.
function frameworks() {
  if (D.frameworks) return D.frameworks;
  D.frameworks = new Map();
  for (const finding of D.findings)
    for (const requirement of W.requirements[finding[REQUIREMENTS]]) {
      const at = requirement.indexOf("/");
      const [framework, id] = [requirement.slice(0, Math.max(at, 0)), requirement.slice(at + 1)];
      if (!D.frameworks.has(framework)) D.frameworks.set(framework, new Map());
      const all = D.frameworks.get(framework);
      if (!all.has(id)) all.set(id, { id, requirement, tally: tally(), checks: new Map() });
      const entry = all.get(id);
      add(entry.tally, finding);
      if (!entry.checks.has(finding[CHECK])) entry.checks.set(finding[CHECK], tally());
      add(entry.checks.get(finding[CHECK]), finding);
    }
  const places = new Map(D.checks.map((check, index) => [check.id, index]));
  D.judged = new Map();
  for (const framework of D.rollup) {
    const seen = D.frameworks.get(framework.id) || new Map();
    const all = new Map();
    for (const judged of framework.requirements) {
      const found = seen.get(judged.id) || { tally: tally(), checks: new Map() };
      const entry = { id: judged.id, requirement: framework.id + "/" + judged.id, tally: found.tally, checks: new Map(), judged };
      for (const id of judged.checks)
        if (places.has(id)) entry.checks.set(places.get(id), found.checks.get(places.get(id)) || tally());
      all.set(judged.id, entry);
    }
    D.frameworks.set(framework.id, all);
    D.judged.set(framework.id, framework);
  }
  return D.frameworks;
}
/** What is not met is not met, whatever else could not be seen; a fail that somebody accepted is not met either. */
const counted = (t) => (t.fail ? "fail" : t.unknown ? "unknown" : t.manual ? "manual" : t.muted ? "muted" : t.pass ? "pass" : "not_applicable");
const JUDGED = { passed: "pass", failed: "fail" };
const verdict = (entry) => (entry.judged ? JUDGED[entry.judged.status] || entry.judged.status : counted(entry.tally));
const VERDICTS = [["pass", "met"], ["fail", "not met"], ["unknown", "unknown"], ["manual", "manual"], ["muted", "accepted"],
  ["not_covered", "not covered"], ["not_applicable", "not applicable"], ["aws", "on AWS's side"]];
function verdicts(requirements) {
  const numbers = Object.fromEntries(VERDICTS.map(([v]) => [v, 0]));
  for (const entry of requirements.values()) numbers[verdict(entry)]++;
  return VERDICTS.map(([v, name]) => ["st-" + v, numbers[v], name]);
}
const frameworkTitle = (name) => (D.judged.has(name) ? D.judged.get(name).title : name);
/** Those that were asked for come first. */
const byFramework = (a, b) => D.judged.has(b[0]) - D.judged.has(a[0]) || natural(a[0], b[0]);
function compliancePage(query) {
  const all = [...frameworks()].sort(byFramework);
  if (query.framework && frameworks().has(query.framework)) return frameworkPage(query.framework, frameworks().get(query.framework));
  const asked = all.filter(([name]) => D.judged.has(name)), others = all.filter(([name]) => !D.judged.has(name));
  return el("div", { class: "page" }, el("h1", {}, "Compliance"),
    asked.length ? el("p", { class: "muted" }, "Judged requirement by requirement, as the scan was asked to.") : null,
    asked.length ? el("div", { class: "grid" }, asked.map(frameworkCard)) : null,
    asked.length && others.length ? el("h2", {}, "Touched by the same checks") : null,
    others.length ? el("p", { class: "muted" }, asked.length
      ? "Other frameworks, as far as the checks of this scan serve them: requirements that no check of it serves are not counted."
      : "Requirements that the checks of this scan answer, by the findings that serve them. A requirement is met when everything that was checked for it passes.") : null,
    others.length ? el("div", { class: "grid" }, others.map(frameworkCard)) : null,
    all.length ? null : el("p", { class: "card" }, "No check of this scan serves a framework."));
}
function frameworkCard([name, requirements]) {
  const parts = verdicts(requirements);
  const whole = D.judged.has(name) ? " of " + num(requirements.size) + " met" : " of " + num(requirements.size) + " looked at are met";
  return el("a", { class: "card framework", href: link("compliance", { framework: name }) },
    el("h2", {}, frameworkTitle(name)), el("p", { class: "big" }, num(parts[0][1]), el("span", { class: "muted" }, whole)),
    stacked(parts, requirements.size, parts.map((p) => num(p[1]) + " " + p[2]).join(", ")),
    el("p", { class: "legend" }, parts.filter((p) => p[1]).map((p) => el("span", {}, el("i", { class: p[0] }), num(p[1]) + " " + p[2]))));
}
function frameworkPage(name, requirements) {
  const parts = verdicts(requirements);
  // a framework's own order is the one that its readers know
  const entries = D.judged.has(name) ? [...requirements.values()] : [...requirements.values()].sort((a, b) => natural(a.id, b.id));
  return el("div", { class: "page" },
    el("p", { class: "crumbs" }, el("a", { href: link("compliance", {}) }, "Compliance")),
    el("h1", {}, frameworkTitle(name)),
    D.judged.has(name) ? el("p", { class: "muted" }, name) : null,
    stacked(parts, requirements.size, parts.map((p) => num(p[1]) + " " + p[2]).join(", ")),
    el("p", { class: "legend" }, parts.filter((p) => p[1]).map((p) => el("span", {}, el("i", { class: p[0] }), num(p[1]) + " " + p[2]))),
    el("div", { class: "card flush" }, entries.map(requirementRow)));
}
function requirementRow(entry) {
  const v = verdict(entry);
  const checks = [...entry.checks].sort((a, b) => b[1].fail - a[1].fail || natural(D.checks[a[0]].id, D.checks[b[0]].id));
  const lead = entry.judged ? entry.judged.title : checks.length === 1 ? D.checks[checks[0][0]].title : count(checks.length, "check");
  const missing = entry.judged ? entry.judged.not_run || [] : [];
  return el("details", { class: "requirement" },
    el("summary", {}, el("strong", { class: "req-id" }, entry.id),
      el("span", { class: "req-title" }, lead),
      el("span", { class: "mark m-" + v }, VERDICTS.find((x) => x[0] === v)[1])),
    entry.judged ? el("p", { class: "req-reason" }, entry.judged.reason + ".", entry.judged.level ? el("span", { class: "muted" }, " Level: " + entry.judged.level) : null) : null,
    el("ul", { class: "plain" }, checks.map(([index, t]) => {
      const check = D.checks[index];
      return el("li", {}, pill(check.severity), el("a", { href: link("check", { id: check.id }) }, check.title),
        el("span", { class: "muted small" }, [[t.fail, "failed"], [t.unknown, "unknown"], [t.pass, "passed"], [t.manual, "manual"], [t.muted, "muted"]]
          .filter((x) => x[0]).map((x) => num(x[0]) + " " + x[1]).join(", ")));
    })),
    missing.length ? el("p", { class: "muted small" }, "Not part of this scan: " + missing.join(", ")) : null,
    entry.tally.all ? el("p", {}, el("a", { href: link("findings", { requirement: entry.requirement }) }, "All findings of " + entry.id)) : null);
}
