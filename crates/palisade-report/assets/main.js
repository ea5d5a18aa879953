// Pages by the address's fragment: #/findings?status=fail
function link(page, query) {
  const text = Object.entries(query || {}).filter(([, v]) => v).map(([k, v]) => k + "=" + encodeURIComponent(v)).join("&");
  return "#/" + page + (text ? "?" + text : "");
}
function route() {
  const [page, text] = location.hash.replace(/^#\/?/, "").split("?");
  const query = {};
  for (const [key, value] of new URLSearchParams(text || "")) query[key] = value;
  return { page, query };
}
const PAGES = { "": overview, findings: findingsPage, check: checkPage, compliance: compliancePage };
const NAMES = [["", "Overview"], ["findings", "Findings"], ["compliance", "Compliance"]];
let shown = null;

function render() {
  const sheet = document.getElementById("sheet");
  if (sheet.open) sheet.close();
  const { page, query } = route();
  const main = document.getElementById("main");
  shown = (PAGES[page] || overview)(query);
  fill(main, shown);
  document.querySelectorAll("nav a").forEach((a) => {
    if (a.dataset.page === (page === "check" ? "findings" : page)) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  });
  const title = main.querySelector("h1, h2");
  document.title = (title ? title.textContent + " · " : "") + "Palisade report";
  scrollTo(0, 0);
}
function header() {
  const accounts = D.accounts.length === 1 ? "Account " + D.accounts[0] : count(D.accounts.length, "account");
  const regions = D.regions.length <= 3 ? D.regions.join(", ") : count(D.regions.length, "region");
  const theme = el("button", { class: "theme", "aria-label": "Switch between light and dark", onclick: () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  } }, "◐");
  const logo = svg("svg", { viewBox: "0 0 24 24", class: "logo", "aria-hidden": "true" },
    [3, 9, 15].map((x) => svg("path", { d: "M" + x + " 21V7l3-4 3 4v14z" })), svg("path", { class: "rail", d: "M1 12h22" }));
  document.getElementById("top").replaceChildren(el("div", { class: "top-inner" },
    el("a", { class: "brand", href: "#/" }, logo, "Palisade"),
    el("nav", { "aria-label": "Report" }, NAMES.map(([page, name]) => el("a", { href: link(page), "data-page": page }, name))),
    el("p", { class: "scope" }, el("span", {}, accounts), el("span", {}, regions), el("span", {}, count(D.checks.length, "check")),
      el("time", { datetime: D.started_at }, D.started_at.slice(0, 16).replace("T", " ") + " UTC")),
    theme));
}
addEventListener("hashchange", render);
addEventListener("keydown", (e) => {
  if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || /^(input|textarea|select)$/i.test(e.target.tagName)) return;
  e.preventDefault();
  if (route().page !== "findings") {
    history.pushState(null, "", link("findings"));
    render();
  }
  document.getElementById("search").focus();
});
addEventListener("beforeprint", () => shown && shown.list && shown.list.print());
addEventListener("afterprint", () => shown && shown.list && shown.list.unprint());
document.getElementById("sheet").addEventListener("click", (e) => {
  if (e.target === e.currentTarget) e.currentTarget.close();
});
load().then(() => {
  header();
  render();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}).catch((error) => {
  document.getElementById("main").replaceChildren(document.createTextNode("This report cannot be shown: " + error.message +
    ". It needs a browser of 2023 or later, and the whole file."));
});
