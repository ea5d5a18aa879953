// Elements. Texts become text nodes and never markup: what stands in a finding was named by somebody.
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  set(node, attributes);
  return fill(node, ...children);
}
/** Gives a node these children: lists are flattened, and what is not there is left out. */
function fill(node, ...children) {
  node.replaceChildren(...children.flat(9).filter((c) => c !== null && c !== undefined && c !== false && c !== ""));
  return node;
}
function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, String(value));
  node.append(...children.flat(9).filter(Boolean));
  return node;
}
function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}
const NUMBER = new Intl.NumberFormat("en-US");
const num = (n) => NUMBER.format(n);
const count = (n, one, many) => num(n) + " " + (n === 1 ? one : many || one + "s");
const clamp = (n, low, high) => Math.max(low, Math.min(high, n));
/** Orders `2.1.10` after `2.1.9`. */
const COLLATOR = new Intl.Collator("en", { numeric: true });
const natural = (a, b) => COLLATOR.compare(a, b);

/** The little Markdown that check pages use: paragraphs, lists, code, headings, strong, and links as text. */
function markdown(text) {
  const out = [];
  const lines = text.split("\n");
  let paragraph = [], list = null;
  const flush = () => {
    if (paragraph.length) out.push(el("p", {}, inline(paragraph.join(" "))));
    paragraph = [];
    list = null;
  };
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const item = /^\s*(?:[-*]|\d+\.)\s+(.*)$/.exec(line);
    if (line.startsWith("```")) {
      flush();
      const code = [];
      for (i++; i < lines.length && !lines[i].startsWith("```"); i++) code.push(lines[i]);
      out.push(el("pre", { tabindex: 0 }, el("code", {}, code.join("\n"))));
    } else if (!line.trim()) {
      flush();
    } else if (/^#+\s/.test(line)) {
      flush();
      out.push(el("h4", {}, inline(line.replace(/^#+\s+/, ""))));
    } else if (item) {
      if (!list) {
        flush();
        list = el(/^\s*\d/.test(line) ? "ol" : "ul");
        out.push(list);
      }
      list.append(el("li", {}, inline(item[1])));
    } else if (list && /^\s/.test(line)) {
      list.lastChild.append(" ", ...inline(line.trim()));
    } else {
      if (list) flush();
      paragraph.push(line.trim());
    }
  }
  flush();
  return out;
}
function inline(text) {
  const out = [];
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)/g;
  let end = 0;
  for (let match; (match = pattern.exec(text)); end = pattern.lastIndex) {
    out.push(text.slice(end, match.index));
    if (match[1]) out.push(el("code", {}, match[1]));
    else if (match[2]) out.push(el("strong", {}, match[2]));
    else out.push(match[3] + " (" + match[4] + ")");
  }
  out.push(text.slice(end));
  return out.filter(Boolean);
}
