// The first page, in the order of the questions: how are we doing, what first, what could not be seen.
function overview() {
  const wrap = el("div", { class: "page" });
  if (D.interrupted)
    wrap.append(el("p", { class: "alert", role: "note" }, el("strong", {}, "Incomplete. "),
      "The scan was stopped before it ended; this is what was read until then."));
  wrap.append(standing(), first(), unseen());
  if (D.expired.length) wrap.append(expired());
  return wrap;
}

function standing() {
  const [value, least, most] = D.score;
  const band = value !== null && most - least > 0.5
    ? el("p", { class: "muted" }, Math.round(least) + " to " + Math.round(most) + ", depending on what could not be read")
    : null;
  const tiles = WORST_FIRST.map((s) => {
    const t = D.bySeverity[s];
    return el("a", { class: "tile " + severityClass(s), href: link("findings", { status: "fail", severity: SEVERITIES[s] }) },
      el("span", { class: "tile-number" }, num(t.fail)), el("span", { class: "tile-name" }, SEVERITIES[s]));
  });
  const t = D.tally;
  const outcome = [["st-fail", t.fail, "failed"], ["st-unknown", t.unknown, "unknown"], ["st-manual", t.manual, "manual"],
    ["st-muted", t.muted, "muted"], ["st-pass", t.pass, "passed"]];
  const services = [...D.byService].filter(([, x]) => x.fail > 0).sort((a, b) => byWeight(a[1], b[1]) || natural(a[0], b[0]));
  const rows = (list, key) => {
    const most = Math.max(1, ...list.map(([, x]) => x.fail));
    return list.length ? barList(list.map(([name, x]) => ({
      name: name || "(none)", parts: severityParts(x), number: num(x.fail), href: link("findings", { status: "fail", [key]: name }),
    })), most) : el("p", { class: "muted" }, "Nothing failed.");
  };
  const places = (words, tallies) => words.map((w, i) => [w, tallies[i]]).filter(([, x]) => x.fail > 0)
    .sort((a, b) => byWeight(a[1], b[1]) || natural(a[0], b[0]));
  return section("How are we doing", "standing", null,
    el("div", { class: "hero" },
      el("div", { class: "card score" }, gauge(value, least, most), band),
      el("div", { class: "card counts" },
        el("div", { class: "tiles" }, tiles),
        stacked(outcome, t.all, outcome.map((o) => num(o[1]) + " " + o[2]).join(", ")),
        el("p", { class: "legend" }, outcome.filter((o) => o[1]).map((o) =>
          el("a", { href: link("findings", { status: { failed: "fail", passed: "pass" }[o[2]] || o[2] }) },
            el("i", { class: o[0] }), num(o[1]) + " " + o[2]))))),
    el("div", { class: "grid" },
      el("div", { class: "card movers" }, el("h3", {}, "What moves the score"), movers()),
      el("div", { class: "card" }, el("h3", {}, "By service"), more(services, 8, (l) => rows(l, "service"))),
      el("div", { class: "card" }, el("h3", {}, "By region"), more(places(W.regions, D.byRegion), 8, (l) => rows(l, "region"))),
      el("div", { class: "card" }, el("h3", {}, "By account"), more(places(W.accounts, D.byAccount), 8, (l) => rows(l, "account")))));
}

function movers() {
  const checks = D.checks.filter((c) => c.gain > 0.05).sort((a, b) => b.gain - a.gain || natural(a.id, b.id)).slice(0, 8);
  if (!checks.length) return el("p", { class: "muted" }, "Nothing pulls it down.");
  const most = checks[0].gain;
  return [el("p", { class: "muted small" }, "Points that the score gains when a check passes everywhere."),
    barList(checks.map((c) => ({
      name: c.title, parts: [[severityClass(c.severity), c.gain, "points, " + SEVERITIES[c.severity]]],
      number: "+" + c.gain.toFixed(1), href: link("check", { id: c.id }),
    })), most)];
}

/** The first of a list, and a button for the rest. */
function more(list, most, show) {
  if (list.length <= most) return show(list);
  const box = el("div", {}, show(list.slice(0, most)));
  const button = el("button", { class: "more", onclick: () => { fill(box, show(list)); button.remove(); } },
    "All " + num(list.length));
  return [box, button];
}

const RANKS = {
  risk: ["By risk", (a, b) => b.severity - a.severity || b.gain - a.gain || b.tally.fail - a.tally.fail || natural(a.id, b.id)],
  closed: ["By findings that it closes", (a, b) => b.tally.fail - a.tally.fail || b.severity - a.severity || natural(a.id, b.id)],
};
function first() {
  const checks = D.checks.filter((c) => c.tally.fail > 0);
  if (!checks.length)
    return section("What to do first", "first", null, el("p", { class: "card good-news" }, "Nothing failed. ",
      D.tally.unknown ? "But " + count(D.tally.unknown, "finding") + " could not be decided: see below." : ""));
  const list = el("div", {});
  const buttons = [];
  const show = (rank) => {
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.rank === rank)));
    fill(list, more([...checks].sort(RANKS[rank][1]), 10, (l) => el("ol", { class: "todo" }, l.map(todo))));
  };
  for (const [rank, [name]] of Object.entries(RANKS))
    buttons.push(el("button", { "data-rank": rank, onclick: () => show(rank) }, name));
  show("risk");
  return section("What to do first", "first", el("div", { class: "switch", role: "group", "aria-label": "Order" }, buttons),
    el("div", { class: "card flush" }, list));
}
function todo(check) {
  const accounts = new Set(), regions = new Set();
  let automatic = false;
  for (const f of D.findings) if (D.checks[f[CHECK]] === check && counts(f)) {
    accounts.add(f[ACCOUNT]);
    regions.add(f[REGION]);
    automatic = automatic || f[AUTOMATIC] === 1;
  }
  const fix = (check.fix.split("\n\n")[0] || "").replace(/\s+/g, " ").replace(/[`*]/g, "");
  return el("li", {}, el("a", { class: "todo-row", href: link("check", { id: check.id }) },
    pill(check.severity),
    el("span", { class: "todo-text" }, el("strong", {}, check.title),
      el("span", { class: "todo-fix" }, fix),
      el("span", { class: "muted small" }, count(check.tally.fail, "resource"),
        accounts.size > 1 ? " in " + count(accounts.size, "account") : "",
        regions.size > 1 ? " in " + count(regions.size, "region") : "",
        automatic ? el("span", { class: "tag" }, "Fix is an API call") : "")),
    check.gain >= 0.05 ? el("span", { class: "gain", title: "points that the score gains" }, "+" + check.gain.toFixed(1)) : null));
}

function unseen() {
  const [planned, answered] = D.calls;
  const t = D.tally;
  const lost = new Map();
  for (const f of D.failures) {
    const key = f.service + ":" + f.operation + " " + f.code;
    const entry = lost.get(key) || { name: f.service + ":" + f.operation, code: f.code, message: f.message, times: 0, regions: new Set() };
    entry.times += f.times;
    entry.regions.add(f.region);
    lost.set(key, entry);
  }
  if (!t.unknown && !lost.size)
    return section("What could not be seen", "unseen", null, el("p", { class: "card good-news" },
      "Everything that was asked was answered: " + count(answered, "call") + "."));
  const missing = [...D.missing].sort((a, b) => b[1].findings - a[1].findings || natural(a[0], b[0]));
  return section("What could not be seen", "unseen", null,
    el("p", {}, el("a", { href: link("findings", { status: "unknown" }) }, count(t.unknown, "finding")),
      t.unknown === 1 ? " is" : " are", " unknown: neither passed nor failed. " + num(answered) + " of " + num(planned) + " calls were answered."),
    el("div", { class: "grid" },
      missing.length ? el("div", { class: "card" }, el("h3", {}, "Missing permissions"),
        more(missing, 12, (l) => el("ul", { class: "plain" }, l.map(([name, entry]) => el("li", {}, el("code", {}, name),
          el("span", { class: "muted small" }, count(entry.findings, "finding") + ", " + count(entry.checks.size, "check"))))))) : null,
      lost.size ? el("div", { class: "card" }, el("h3", {}, "Lost calls"),
        more([...lost.values()].sort((a, b) => b.times - a.times || natural(a.name, b.name)), 12, (l) => el("ul", { class: "plain" },
          l.map((f) => el("li", {}, el("code", {}, f.name), el("span", { class: "muted small" },
            el("bdi", {}, f.code), ", " + count(f.times, "time") + " in " + [...f.regions].join(", ")),
            f.message && f.message !== f.code ? el("span", { class: "muted small block" }, el("bdi", {}, f.message)) : null))))) : null));
}
function expired() {
  return section("Expired mutes", "expired", null, el("div", { class: "card" }, el("ul", { class: "plain" }, D.expired.map((m) =>
    el("li", {}, el("code", {}, m.check), el("span", { class: "muted small" },
      "until " + m.expires + ", ", el("bdi", {}, m.owner), ": ", el("bdi", {}, m.reason), "; " + count(m.findings, "finding") + " count again"))))));
}
function section(title, id, aside, ...children) {
  return el("section", { id, "aria-labelledby": id + "-title" },
    el("div", { class: "section-head" }, el("h2", { id: id + "-title" }, title), aside), children);
}
