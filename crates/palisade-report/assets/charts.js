// Charts: SVG and bars, each with a text that says the same.
const severityClass = (s) => "s-" + SEVERITIES[s];

/** Half a ring from 0 to 100; the band is what could not be read. */
function gauge(value, least, most) {
  const [cx, cy, r] = [120, 118, 96];
  const point = (share, radius) => {
    const angle = Math.PI * (1 - share);
    return (cx + radius * Math.cos(angle)).toFixed(2) + " " + (cy - radius * Math.sin(angle)).toFixed(2);
  };
  const arc = (from, to, cls) =>
    svg("path", { class: cls, d: "M" + point(from, r) + " A" + r + " " + r + " 0 0 1 " + point(Math.max(to, from + 0.004), r) });
  const known = value !== null;
  const text = known ? "Score " + Math.round(value) + " of 100" : "No score: nothing was decided";
  const tone = !known ? "none" : value >= 90 ? "good" : value >= 70 ? "fair" : value >= 45 ? "poor" : "bad";
  return svg("svg", { class: "gauge " + tone, viewBox: "0 0 240 140", role: "img", "aria-label": text },
    arc(0, 1, "track"),
    known && most - least > 0.5 ? arc(least / 100, most / 100, "band") : null,
    known ? arc(0, value / 100, "value") : null,
    svgText(cx, 104, "number", known ? String(Math.round(value)) : "–"),
    svgText(cx, 128, "caption", known ? "of 100" : "no score"));
}
function svgText(x, y, cls, text) {
  const node = svg("text", { x, y, class: cls, "text-anchor": "middle" });
  node.textContent = text;
  return node;
}

/** One bar of parts: [class, number, name]. */
function stacked(parts, whole, label) {
  const total = whole || parts.reduce((sum, p) => sum + p[1], 0) || 1;
  let x = 0;
  const shapes = parts.filter((p) => p[1] > 0).map(([cls, n, name]) => {
    // what is there must be seen
    const width = Math.max((n / total) * 1000, 4);
    const shape = svg("rect", { class: cls, x: x.toFixed(1), y: 0, width: Math.max(width - 2, 2).toFixed(1), height: 10 },
      svg("title", {}, document.createTextNode(name + ": " + num(n))));
    x += width;
    return shape;
  });
  return svg("svg", { class: "bar", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img", "aria-label": label }, shapes);
}
const severityParts = (t) => WORST_FIRST.map((s) => [severityClass(s), t.severity[s], SEVERITIES[s]]);

/** Rows of name, bar and number; each is a link. */
function barList(rows, whole) {
  return el("ul", { class: "bars" }, rows.map((row) =>
    el("li", {}, el("a", { href: row.href, class: "bar-row" },
      el("span", { class: "bar-name" }, el("bdi", {}, row.name)),
      stacked(row.parts, whole, row.name + ": " + row.parts.filter((p) => p[1]).map((p) => num(p[1]) + " " + p[2]).join(", ")),
      el("span", { class: "bar-number" }, row.number)))));
}
function pill(severity) {
  return el("span", { class: "pill " + severityClass(severity) }, SEVERITIES[severity]);
}
function statusMark(status, muted) {
  const name = muted ? "muted" : STATUS_NAMES[status];
  return el("span", { class: "mark m-" + (muted ? "muted" : STATUSES[status]) }, name);
}
