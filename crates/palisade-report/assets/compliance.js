// Frameworks, from the requirements that findings carry.
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
  return D.frameworks;
}
/** What is not met is not met, whatever else could not be seen; a fail that somebody accepted is not met either. */
const verdict = (t) => (t.fail ? "fail" : t.unknown ? "unknown" : t.manual ? "manual" : t.muted ? "muted" : t.pass ? "pass" : "not_applicable");
const VERDICTS = [["pass", "met"], ["fail", "not met"], ["unknown", "unknown"], ["manual", "manual"], ["muted", "accepted"], ["not_applicable", "not applicable"]];
function verdicts(requirements) {
  const numbers = Object.fromEntries(VERDICTS.map(([v]) => [v, 0]));
  for (const entry of requirements.values()) numbers[verdict(entry.tally)]++;
  return VERDICTS.map(([v, name]) => ["st-" + v, numbers[v], name]);
}
function compliancePage(query) {
  const all = [...frameworks()].sort((a, b) => natural(a[0], b[0]));
  if (query.framework && frameworks().has(query.framework)) return frameworkPage(query.framework, frameworks().get(query.framework));
  return el("div", { class: "page" }, el("h1", {}, "Compliance"),
    el("p", { class: "muted" }, "Requirements that the checks of this scan answer, by the findings that serve them. A requirement is met when everything that was checked for it passes."),
    all.length ? el("div", { class: "grid" }, all.map(([name, requirements]) => {
      const parts = verdicts(requirements);
      const met = parts[0][1];
      return el("a", { class: "card framework", href: link("compliance", { framework: name }) },
        el("h2", {}, name), el("p", { class: "big" }, num(met), el("span", { class: "muted" }, " of " + num(requirements.size) + " met")),
        stacked(parts, requirements.size, parts.map((p) => num(p[1]) + " " + p[2]).join(", ")),
        el("p", { class: "legend" }, parts.filter((p) => p[1]).map((p) => el("span", {}, el("i", { class: p[0] }), num(p[1]) + " " + p[2]))));
    })) : el("p", { class: "card" }, "No check of this scan serves a framework."));
}
function frameworkPage(name, requirements) {
  const parts = verdicts(requirements);
  return el("div", { class: "page" },
    el("p", { class: "crumbs" }, el("a", { href: link("compliance", {}) }, "Compliance")),
    el("h1", {}, name),
    stacked(parts, requirements.size, parts.map((p) => num(p[1]) + " " + p[2]).join(", ")),
    el("p", { class: "legend" }, parts.filter((p) => p[1]).map((p) => el("span", {}, el("i", { class: p[0] }), num(p[1]) + " " + p[2]))),
    el("div", { class: "card flush" }, [...requirements.values()].sort((a, b) => natural(a.id, b.id)).map(requirementRow)));
}
function requirementRow(entry) {
  const v = verdict(entry.tally);
  const checks = [...entry.checks].sort((a, b) => b[1].fail - a[1].fail || natural(D.checks[a[0]].id, D.checks[b[0]].id));
  const lead = D.checks[checks[0][0]].title;
  return el("details", { class: "requirement" },
    el("summary", {}, el("strong", { class: "req-id" }, entry.id),
      el("span", { class: "req-title" }, checks.length === 1 ? lead : count(checks.length, "check")),
      el("span", { class: "mark m-" + v }, VERDICTS.find((x) => x[0] === v)[1])),
    el("ul", { class: "plain" }, checks.map(([index, t]) => {
      const check = D.checks[index];
      return el("li", {}, pill(check.severity), el("a", { href: link("check", { id: check.id }) }, check.title),
        el("span", { class: "muted small" }, [[t.fail, "failed"], [t.unknown, "unknown"], [t.pass, "passed"], [t.muted, "muted"]]
          .filter((x) => x[0]).map((x) => num(x[0]) + " " + x[1]).join(", ")));
    })),
    el("p", {}, el("a", { href: link("findings", { requirement: entry.requirement }) }, "All findings of " + entry.id)));
}
