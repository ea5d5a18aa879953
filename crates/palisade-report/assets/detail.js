// One finding in a sheet, and the page of a check: why, evidence, fix.
function openFinding(finding) {
  const check = D.checks[finding[CHECK]];
  const muting = finding[MUTING] >= 0 ? W.mutings[finding[MUTING]] : null;
  const permissions = W.permissions[finding[PERMISSIONS]];
  const requirements = W.requirements[finding[REQUIREMENTS]];
  const sheet = document.getElementById("sheet");
  const copy = el("button", { class: "copy", onclick: async () => {
    try {
      await navigator.clipboard.writeText(finding[RESOURCE]);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(arn);
    }
  } }, "Copy");
  const arn = el("code", {}, el("bdi", {}, finding[RESOURCE]));
  const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, value)];
  fill(sheet,
    el("div", { class: "sheet-head" },
      el("div", {}, el("p", { class: "marks" }, statusMark(finding[STATUS], !!muting), pill(finding[SEVERITY])),
        el("h2", { id: "sheet-title" }, el("bdi", {}, nameOf(finding)))),
      el("button", { class: "close", "aria-label": "Close", onclick: () => sheet.close() }, "✕")),
    el("p", { class: "lead" }, el("bdi", {}, finding[MESSAGE])),
    muting ? el("p", { class: "alert quiet" }, el("strong", {}, muting.by === "baseline" ? "In the baseline. " : "Muted. "),
      el("bdi", {}, muting.reason), muting.owner ? [" (", el("bdi", {}, muting.owner), ")"] : "", muting.expires ? " until " + muting.expires : "") : null,
    el("a", { class: "button", id: "to-fix", href: link("check", { id: check.id }) }, "Why it matters and how to fix it"),
    el("dl", {},
      fact("Check", check.title, el("span", { class: "muted small block" }, check.id)),
      finding[RESOURCE] ? fact("Resource", arn, " ", copy) : null,
      fact("Type", W.types[finding[TYPE]]),
      fact("Account", W.accounts[finding[ACCOUNT]]),
      fact("Region", W.regions[finding[REGION]]),
      finding[HISTORY] ? course(finding[HISTORY]) : null,
      permissions.length ? fact("Missing permissions", permissions.map((p) => el("code", { class: "block" }, p))) : null,
      requirements.length ? fact("Requirements", el("span", { class: "chips" }, requirements.map((r) =>
        el("a", { class: "chip", href: link("findings", { requirement: r }) }, r)))) : null),
    finding[EVIDENCE] ? [el("h3", {}, "Evidence"), evidence(finding[EVIDENCE])] : "");
  sheet.showModal();
  sheet.scrollTop = 0;
}
/** Since when it fails, as far as earlier scans are known. */
function course([first, changed, days, reopened, isNew]) {
  const fact = (name, value) => [el("dt", {}, name), el("dd", {}, value)];
  return [
    fact("First seen", first.slice(0, 10) + (isNew ? ", new since the last scan" : "")),
    fact("Failing for", count(days, "day") + (reopened ? ", reopened " + count(reopened, "time") : "")),
    fact("Last changed", changed.slice(0, 10)),
  ];
}
function evidence(values) {
  return el("dl", { class: "evidence" }, Object.entries(values).map(([name, value]) => [
    el("dt", {}, el("bdi", {}, name)),
    el("dd", {}, el("pre", { tabindex: 0 }, el("code", {}, typeof value === "string" ? value : JSON.stringify(value, null, 1)))),
  ]));
}

function checkPage(query) {
  const check = D.checks.find((c) => c.id === query.id);
  if (!check) return el("div", { class: "page" }, el("h1", {}, "No such check"), el("p", {}, el("a", { href: "#/" }, "Back to the overview")));
  const found = sorted(D.findings.filter((f) => D.checks[f[CHECK]] === check));
  const t = check.tally;
  const requirements = [...new Set(found.flatMap((f) => W.requirements[f[REQUIREMENTS]]))].sort(natural);
  const list = virtualList();
  list.node.classList.add("short");
  const parts = [["st-fail", t.fail, "failed"], ["st-unknown", t.unknown, "unknown"], ["st-manual", t.manual, "manual"], ["st-muted", t.muted, "muted"], ["st-pass", t.pass, "passed"]];
  const page = el("div", { class: "page check-page" },
    el("p", { class: "crumbs" }, el("a", { href: "#/" }, "Overview"), " / ", check.service ? el("a", { href: link("findings", { service: check.service }) }, check.service) : ""),
    el("div", { class: "check-head" }, pill(check.severity), el("h1", {}, check.title)),
    el("p", { class: "muted" }, el("code", {}, check.id), check.category ? " · " + check.category : "",
      check.gain >= 0.05 ? " · passing everywhere is worth +" + check.gain.toFixed(1) + " points" : ""),
    stacked(parts, t.all, parts.map((p) => num(p[1]) + " " + p[2]).join(", ")),
    el("p", { class: "legend" }, parts.filter((p) => p[1]).map((p) => el("span", {}, el("i", { class: p[0] }), num(p[1]) + " " + p[2]))),
    el("div", { class: "two" },
      el("section", { class: "card prose" }, el("h2", {}, "Why it matters"), markdown(check.why)),
      el("section", { class: "card prose fix", id: "fix" }, el("h2", {}, "How to fix it"), markdown(check.fix))),
    found.length ? el("section", {}, el("div", { class: "section-head" }, el("h2", {}, "Evidence: " + count(found.length, "finding")),
      el("a", { href: link("findings", { id: check.id }) }, "Filter and search")), list.node) : el("p", {}, "There was nothing to check."),
    requirements.length ? el("section", {}, el("h2", {}, "Requirements that it serves"), el("p", { class: "chips" },
      requirements.map((r) => el("a", { class: "chip", href: link("compliance", { framework: r.split("/")[0] }) }, r)))) : null);
  list.show(found);
  page.list = list;
  return page;
}
