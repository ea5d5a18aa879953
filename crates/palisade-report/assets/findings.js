// Everything: search, facets, and a list of which only the rows in sight exist.
const FACETS = [
  ["status", "Status", (f) => (f[MUTING] >= 0 ? "muted" : STATUSES[f[STATUS]]), (v) => ({ not_applicable: "not applicable", pass: "passed", fail: "failed" })[v] || v],
  ["severity", "Severity", (f) => SEVERITIES[f[SEVERITY]]],
  ["service", "Service", (f) => D.checks[f[CHECK]].service],
  ["account", "Account", (f) => W.accounts[f[ACCOUNT]]],
  ["region", "Region", (f) => W.regions[f[REGION]]],
  ["category", "Category", (f) => D.checks[f[CHECK]].category],
  ["type", "Resource type", (f) => W.types[f[TYPE]]],
  ["since", "Since the last scan", (f) => (f[HISTORY] ? SINCE.get(f[HISTORY][4]) : "does not fail")],
];
const SINCE = new Map([[true, "new"], [false, "failed before"], [null, "not comparable"]]);
const ROW = 64;
const PRINTED = 1000;

function searchable(finding) {
  const check = D.checks[finding[CHECK]];
  return (check.id + "\n" + check.title + "\n" + finding[RESOURCE] + "\n" + finding[RESOURCE_ID] + "\n" + finding[MESSAGE]).toLowerCase();
}
/** A test for a query: facets, `check`, `requirement`, and words that all must occur. */
function matcher(query, without) {
  const tests = [];
  for (const [key, , value] of FACETS) {
    if (key === without || !query[key]) continue;
    const wanted = new Set(query[key].split("|"));
    tests.push((f) => wanted.has(value(f)));
  }
  if (query.id) tests.push((f) => D.checks[f[CHECK]].id === query.id);
  if (query.requirement) tests.push((f) => W.requirements[f[REQUIREMENTS]].includes(query.requirement));
  const words = (query.q || "").toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    D.texts = D.texts || new Map();
    tests.push((f) => {
      let text = D.texts.get(f);
      if (text === undefined) D.texts.set(f, (text = searchable(f)));
      return words.every((w) => text.includes(w));
    });
  }
  return (f) => tests.every((t) => t(f));
}
/** What failed first, worst first; within that the order of the data. */
function sorted(findings) {
  const place = { [FAIL]: 0, [UNKNOWN]: 1, [MANUAL]: 2, [PASS]: 3, [NOT_APPLICABLE]: 4 };
  const key = (f) => (f[MUTING] >= 0 ? 5 : place[f[STATUS]]);
  return findings.sort((a, b) => key(a) - key(b) || b[SEVERITY] - a[SEVERITY] || a[CHECK] - b[CHECK]);
}

function findingsPage(query) {
  const search = el("input", { type: "search", id: "search", placeholder: "Search names, ARNs, messages, checks", "aria-label": "Search", value: query.q || "", autocomplete: "off", spellcheck: "false" });
  const facets = el("div", { class: "facets" });
  const status = el("p", { class: "found", role: "status", id: "found" });
  const clear = el("a", { class: "clear", href: link("findings", {}) }, "Clear all");
  const list = virtualList();
  const side = el("details", { class: "side" }, el("summary", {}, "Filters"), facets);
  if (matchMedia("(min-width: 56rem)").matches) side.open = true;
  let current = { ...query };
  const update = (changed) => {
    current = { ...current, ...changed };
    for (const key of Object.keys(current)) if (!current[key]) delete current[key];
    history.replaceState(null, "", link("findings", current));
    refresh();
  };
  const refresh = () => {
    const found = sorted(D.findings.filter(matcher(current)));
    list.show(found);
    fill(status, found.length === D.findings.length ? "All " + count(found.length, "finding") : num(found.length) + " of " + count(D.findings.length, "finding"),
      current.requirement ? " for " + current.requirement : "", current.id ? " of " + current.id : "");
    clear.hidden = !Object.keys(current).length;
    fill(facets, ...FACETS.map((facet) => facetBox(facet, current, update)).filter(Boolean));
  };
  let timer = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => update({ q: search.value.trim() }), 120);
  });
  search.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown") { e.preventDefault(); list.focus(0); }
  });
  const page = el("div", { class: "page explorer" }, el("h1", { class: "sr" }, "Findings"),
    side, el("div", { class: "results" }, el("div", { class: "tools" }, search, el("div", { class: "tools-line" }, status, clear)), list.node));
  page.list = list;
  refresh();
  return page;
}

function facetBox([key, name, value, label], current, update) {
  const numbers = new Map();
  for (const f of D.findings.filter(matcher(current, key))) {
    const v = value(f);
    numbers.set(v, (numbers.get(v) || 0) + 1);
  }
  const chosen = new Set((current[key] || "").split("|").filter(Boolean));
  for (const v of chosen) if (!numbers.has(v)) numbers.set(v, 0);
  if (numbers.size < 2 && !chosen.size) return null;
  const order = key === "severity" ? (a, b) => SEVERITIES.indexOf(b[0]) - SEVERITIES.indexOf(a[0])
    : key === "status" ? (a, b) => ["fail", "unknown", "manual", "pass", "muted", "not_applicable"].indexOf(a[0]) - ["fail", "unknown", "manual", "pass", "muted", "not_applicable"].indexOf(b[0])
    : (a, b) => chosen.has(b[0]) - chosen.has(a[0]) || b[1] - a[1] || natural(a[0], b[0]);
  const boxes = [...numbers].sort(order).map(([v, n]) => el("label", {},
    el("input", { type: "checkbox", checked: chosen.has(v), "data-facet": key, "data-value": v, onchange: (e) => {
      if (e.target.checked) chosen.add(v); else chosen.delete(v);
      update({ [key]: [...chosen].join("|") });
      const again = [...document.querySelectorAll("[data-facet]")].find((b) => b.dataset.facet === key && b.dataset.value === v);
      if (again) again.focus();
    } }),
    el("span", { class: "facet-name" }, el("bdi", {}, (label ? label(v) : v) || "(none)")), el("span", { class: "facet-count" }, num(n))));
  return el("fieldset", {}, el("legend", {}, name), more(boxes, 8, (l) => el("div", {}, l)));
}

/** A scrolling list: of n rows only those in sight, and a few around, are elements. */
function virtualList() {
  const inner = el("div", { class: "rows", role: "list" });
  const node = el("div", { class: "viewport", tabindex: -1 }, inner);
  let items = [], active = 0, drawn = "";
  const draw = (force) => {
    if (node.clientHeight === 0 && !force) return;
    const from = clamp(Math.floor(node.scrollTop / ROW) - 6, 0, Math.max(items.length - 1, 0));
    const to = Math.min(items.length, from + Math.ceil((node.clientHeight || 800) / ROW) + 12);
    const key = from + ":" + to;
    if (key === drawn && !force) return;
    drawn = key;
    const focused = inner.contains(document.activeElement);
    const rows = [];
    for (let i = from; i < to; i++) rows.push(row(items[i], i, i === active));
    fill(inner, ...rows);
    if (focused) focus(active, true);
  };
  const focus = (index, still) => {
    if (!items.length) return;
    active = clamp(index, 0, items.length - 1);
    if (!still) {
      const top = active * ROW;
      if (top < node.scrollTop) node.scrollTop = top;
      else if (top + ROW > node.scrollTop + node.clientHeight) node.scrollTop = top + ROW - node.clientHeight;
      draw(true);
    }
    const target = inner.querySelector('[data-index="' + active + '"]');
    if (target) target.focus({ preventScroll: true });
  };
  node.addEventListener("scroll", () => requestAnimationFrame(() => draw()), { passive: true });
  inner.addEventListener("keydown", (e) => {
    const page = Math.max(1, Math.floor(node.clientHeight / ROW) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[e.key];
    if (step === undefined) return;
    e.preventDefault();
    focus(active + step);
  });
  new ResizeObserver(() => draw(true)).observe(node);
  const show = (list) => {
    items = list;
    active = 0;
    inner.style.setProperty("height", Math.max(items.length, 1) * ROW + "px");
    node.scrollTop = 0;
    drawn = "";
    if (items.length) draw(true);
    else fill(inner, el("p", { class: "empty" }, "Nothing matches."));
  };
  // paper does not scroll: the first rows are all there
  const print = () => {
    inner.style.setProperty("height", "auto");
    fill(inner, ...items.slice(0, PRINTED).map((f, i) => row(f, i, false)),
      items.length > PRINTED ? el("p", {}, "And " + count(items.length - PRINTED, "more finding") + ".") : "");
  };
  return { node, show, focus, print, unprint: () => show(items) };
}
function row(finding, index, active) {
  const check = D.checks[finding[CHECK]];
  return el("div", { class: "row-box", role: "listitem", style: { top: index * ROW + "px" } },
    el("button", { class: "row", "data-index": index, tabindex: active ? 0 : -1, onclick: () => openFinding(finding) },
      el("span", { class: "edge " + (counts(finding) ? severityClass(finding[SEVERITY]) : "") }),
      el("span", { class: "row-main" },
        el("span", { class: "row-name" }, el("bdi", {}, nameOf(finding))),
        el("span", { class: "row-message" }, el("bdi", {}, finding[MESSAGE] || check.title))),
      el("span", { class: "row-check" }, el("span", {}, check.title), el("span", { class: "muted small" }, W.accounts[finding[ACCOUNT]] + " · " + W.regions[finding[REGION]])),
      el("span", { class: "row-marks" }, statusMark(finding[STATUS], finding[MUTING] >= 0), counts(finding) ? pill(finding[SEVERITY]) : null)));
}
