// What the page knows. Statuses and severities are numbers in the order of these lists.
const STATUSES = ["pass", "fail", "unknown", "not_applicable", "manual"];
const STATUS_NAMES = ["passed", "failed", "unknown", "not applicable", "manual"];
const [PASS, FAIL, UNKNOWN, NOT_APPLICABLE, MANUAL] = [0, 1, 2, 3, 4];
const SEVERITIES = ["informational", "low", "medium", "high", "critical"];
const WORST_FIRST = [4, 3, 2, 1, 0];
// places in a finding
const CHECK = 0, STATUS = 1, SEVERITY = 2, ACCOUNT = 3, REGION = 4, TYPE = 5, REQUIREMENTS = 6, PERMISSIONS = 7,
  MUTING = 8, AUTOMATIC = 9, RESOURCE = 10, RESOURCE_ID = 11, MESSAGE = 12, EVIDENCE = 13, HISTORY = 14;

let D = null;
let W = null;

async function load() {
  const text = document.getElementById("data").textContent.trim();
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  D = JSON.parse(await new Response(stream).text());
  W = D.words;
  document.getElementById("data").textContent = "";
  prepare();
}

/** Counts that several pages need, made once. */
function prepare() {
  D.tally = tally();
  D.bySeverity = SEVERITIES.map(tally);
  D.byService = new Map();
  D.byAccount = W.accounts.map(tally);
  D.byRegion = W.regions.map(tally);
  for (const check of D.checks) check.tally = tally();
  D.missing = new Map();
  for (const finding of D.findings) {
    const check = D.checks[finding[CHECK]];
    add(D.tally, finding);
    add(D.bySeverity[finding[SEVERITY]], finding);
    if (!D.byService.has(check.service)) D.byService.set(check.service, tally());
    add(D.byService.get(check.service), finding);
    add(D.byAccount[finding[ACCOUNT]], finding);
    add(D.byRegion[finding[REGION]], finding);
    add(check.tally, finding);
    if (finding[STATUS] === UNKNOWN)
      for (const permission of W.permissions[finding[PERMISSIONS]]) {
        const entry = D.missing.get(permission) || { findings: 0, checks: new Set() };
        entry.findings++;
        entry.checks.add(finding[CHECK]);
        D.missing.set(permission, entry);
      }
  }
}
const tally = () => ({ all: 0, pass: 0, fail: 0, unknown: 0, manual: 0, muted: 0, severity: [0, 0, 0, 0, 0] });
function add(into, finding) {
  into.all++;
  if (finding[MUTING] >= 0) into.muted++;
  else if (finding[STATUS] === PASS) into.pass++;
  else if (finding[STATUS] === FAIL) {
    into.fail++;
    into.severity[finding[SEVERITY]]++;
  } else if (finding[STATUS] === UNKNOWN) into.unknown++;
  else if (finding[STATUS] === MANUAL) into.manual++;
}
const counts = (finding) => finding[STATUS] === FAIL && finding[MUTING] < 0;
const nameOf = (finding) => finding[RESOURCE_ID] || finding[RESOURCE] || W.types[finding[TYPE]];
const byWeight = (a, b) => {
  for (const s of WORST_FIRST) if (a.severity[s] !== b.severity[s]) return b.severity[s] - a.severity[s];
  return b.unknown - a.unknown;
};
