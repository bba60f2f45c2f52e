"use strict";
// Shows the data of the page. Text out of manifests reaches the page as text, never as markup.

const byId = (id) => document.getElementById(id);
const run = JSON.parse(byId("run").textContent);
const files = [...document.querySelectorAll("script.file")].map((block) => JSON.parse(block.textContent));
const SEVERITIES = ["critical", "high", "medium", "low"];

const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// Control characters, and those that make a line read as another.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const shown = (text) => text.replace(UNSAFE, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);

function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children.map((child) => (typeof child === "string" ? shown(child) : child)));
  return element;
}

// ---- what there is -------------------------------------------------------------------------------------------------

const hunks = [];
for (const [index, file] of files.entries()) {
  for (const hunk of file.hunks) {
    hunk.file = file;
    hunk.of = hunk.findings.map((at) => file.findings[at]);
    hunk.rules = new Set(hunk.of.map((finding) => finding.rule));
    hunk.isSafe = hunk.of.every((finding) => finding.safety === "safe");
    hunk.keys = hunk.findings.map((at) => `${index} ${at}`);
    for (const finding of hunk.of) hunk.keys.push(...finding.parts.map((part) => `part ${part}`));
    hunk.spaces = new Set(hunk.of.flatMap((finding) => (finding.namespaces.length > 0 ? finding.namespaces : [""])));
    hunks.push(hunk);
  }
}

// Hunks that make parts of one fix are taken together: each gets the set it belongs to.
const owner = new Map();
for (const hunk of hunks) hunk.group = { hunks: [hunk] };
for (const hunk of hunks) {
  for (const key of hunk.keys) {
    const other = owner.get(key);
    if (other && other.group !== hunk.group) {
      const [kept, gone] = other.group.hunks.length < hunk.group.hunks.length ? [hunk.group, other.group] : [other.group, hunk.group];
      for (const moved of gone.hunks) moved.group = kept;
      kept.hunks.push(...gone.hunks);
    }
    owner.set(key, hunk);
  }
}
for (const hunk of hunks) hunk.taken = hunk.group.hunks.every((other) => other.isSafe);

// ---- a hunk --------------------------------------------------------------------------------------------------------

let isSplit = false;

/** Markdown of our own docs: paragraphs, lists, code and addresses. */
function prose(text) {
  const parts = text.split(/\n\n+/).map((part) => {
    const lines = part.split("\n");
    if (!lines[0].startsWith("- ")) return make("p", "", ...spans(lines.join(" ")));
    const items = [];
    for (const line of lines) {
      if (line.startsWith("- ")) items.push(line.slice(2));
      else items[items.length - 1] += ` ${line.trim()}`;
    }
    return make("ul", "", ...items.map((item) => make("li", "", ...spans(item))));
  });
  return parts;
}

function spans(text) {
  return text.split(/(`[^`]+`|<https:[^>]+>)/).filter(Boolean).map((part) => {
    if (part.startsWith("`") && part.endsWith("`") && part.length > 2) return make("code", "", part.slice(1, -1));
    if (part.startsWith("<https:")) return link(part.slice(1, -1), part.slice(1, -1));
    return part;
  });
}

function link(address, text) {
  const anchor = make("a", "", text);
  anchor.href = address;
  anchor.rel = "noopener noreferrer";
  anchor.target = "_blank";
  return anchor;
}

function explained(finding) {
  const rule = run.rules[finding.rule];
  const box = make("div", "finding");
  const line = make("summary", "", make("span", `chip ${finding.safety}`, finding.safety === "review" ? "to review" : finding.safety), make("span", `chip ${finding.severity}`, finding.severity));
  line.append(...spans(finding.message), " ", make("code", "", finding.rule));
  const why = make("details", "why", line);
  box.append(why);
  for (const note of finding.notes) box.append(make("p", "facts", make("b", "", "Check: "), ...spans(note)));
  for (const fact of finding.evidence) box.append(make("p", "facts", make("b", "", "Because: "), ...spans(fact)));
  if (rule) {
    const body = make("section", "", make("h3", "", "Why"), ...prose(rule.why), make("h3", "", "Fix"), ...prose(rule.fix), make("h3", "", "What could break"), ...prose(rule.breaks));
    const known = [rule.pss && `Pod Security Standards ${rule.pss}`, ...rule.knownAs].filter(Boolean).join(" · ");
    if (known) body.append(make("h3", "", "Known as"), make("p", "", known));
    if (rule.link) body.append(make("p", "", link(rule.link, rule.link)));
    why.append(body);
  }
  return box;
}

/** Which parts of two lines differ: their words, by the longest common sequence. */
function words(before, after) {
  const [a, b] = [before, after].map((text) => text.match(/\s+|[\w.-]+|[^\s\w]/g) || []);
  if (a.length * b.length > 40000) return [[[before, true]], [[after, true]]];
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  const [left, right] = [[], []];
  const push = (list, text, differs) => {
    const last = list[list.length - 1];
    if (last && last[1] === differs) last[0] += text;
    else list.push([text, differs]);
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      push(left, a[i++], false);
      push(right, b[j++], false);
    } else if (j >= b.length || (i < a.length && table[i + 1][j] >= table[i][j + 1])) push(left, a[i++], true);
    else push(right, b[j++], true);
  }
  return [left, right];
}

/** Rows of a hunk: the line before and the line after, either may be missing. */
function rows(hunk) {
  const found = [];
  let [before, after, gone, come] = [hunk.old[0], hunk.new[0], [], []];
  const settle = () => {
    for (let at = 0; at < Math.max(gone.length, come.length); at++) {
      const row = { before: gone[at], after: come[at] };
      if (row.before && row.after) [row.before.words, row.after.words] = words(row.before.text, row.after.text);
      found.push(row);
    }
    [gone, come] = [[], []];
  };
  let last = null;
  for (const line of hunk.lines) {
    const text = line.slice(1);
    if (line[0] === "-") gone.push((last = { number: ++before, text, sign: "-" }));
    else if (line[0] === "+") come.push((last = { number: ++after, text, sign: "+" }));
    else if (line[0] === "\\") last.marker = text.trim();
    else {
      settle();
      before++;
      after++;
      found.push({ same: true, before: (last = { number: before, text, sign: " " }), after: { number: after, text, sign: " " } });
    }
  }
  settle();
  return found;
}

function cells(line, look) {
  if (!line) return [make("td", "number none"), make("td", "text none")];
  const text = make("td", `text ${look}`);
  const parts = line.words && line.words.some((part) => !part[1]) ? line.words : [[line.text, false]];
  for (const [part, differs] of parts) text.append(differs ? make("mark", "", part) : shown(part));
  if (line.marker) text.append(make("span", "marker", `  ⏎ ${line.marker}`));
  return [make("td", `number ${look}`, String(line.number)), text];
}

function diff(hunk) {
  const body = document.createElement("tbody");
  const pairs = rows(hunk);
  if (isSplit) {
    for (const row of pairs) body.append(make("tr", "", ...cells(row.before, row.same ? "" : "del"), ...cells(row.after, row.same ? "" : "add")));
  } else {
    let [gone, come] = [[], []];
    const line = (entry, look, before, after) => {
      const text = cells(entry, look)[1];
      return make("tr", "", make("td", `number ${look}`, before), make("td", `number ${look}`, after), make("td", `sign ${look}`, entry.sign), text);
    };
    const settle = () => {
      body.append(...gone, ...come);
      [gone, come] = [[], []];
    };
    for (const row of pairs) {
      if (row.same) {
        settle();
        body.append(line(row.before, "", String(row.before.number), String(row.after.number)));
        continue;
      }
      if (row.before) gone.push(line(row.before, "del", String(row.before.number), ""));
      if (row.after) come.push(line(row.after, "add", "", String(row.after.number)));
    }
    settle();
  }
  const table = make("table", "", body);
  if (isSplit) table.prepend(columns());
  const box = make("div", isSplit ? "diff is-split" : "diff", table);
  box.tabIndex = -1;
  return box;
}

function columns() {
  const group = document.createElement("colgroup");
  for (const look of ["number", "text", "number", "text"]) group.append(make("col", look));
  return group;
}

function fill(hunk) {
  if (hunk.isFull) return;
  hunk.isFull = true;
  const tick = document.createElement("input");
  tick.type = "checkbox";
  tick.checked = hunk.taken;
  tick.setAttribute("aria-label", `Take the change at line ${hunk.old[0] + 1} of ${hunk.file.path}`);
  tick.addEventListener("change", () => take([hunk], tick.checked));
  hunk.tick = tick;
  const findings = make("div", "", ...hunk.of.map(explained));
  const others = hunk.group.hunks.filter((other) => other !== hunk);
  if (others.length > 0) {
    const named = others.slice(0, 4).map((other) => `${other.file.path}:${other.old[0] + 1}`).join(", ");
    findings.append(make("p", "with", `Goes together with ${named}${others.length > 4 ? ` and ${others.length - 4} more` : ""}.`));
  }
  if (hunk.masked) findings.append(make("p", "with", "Lines hold a secret and are not shown: this change is not in a saved patch, use the selection."));
  hunk.element.append(make("div", "head", tick, findings), diff(hunk));
}

function redraw(hunk) {
  if (hunk.isFull) hunk.element.lastElementChild.replaceWith(diff(hunk));
}

// ---- the list ------------------------------------------------------------------------------------------------------

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      fill(entry.target.hunk);
      watcher.unobserve(entry.target);
    }
  }
}, { rootMargin: "1200px 0px" });

// Sizes come from the script's own sheet: the page's policy allows no style attributes.
const sheet = new CSSStyleSheet();
document.adoptedStyleSheets = [sheet];

function build() {
  const sizes = new Set();
  const list = document.createDocumentFragment();
  for (const file of files) {
    const count = file.hunks.length;
    const title = make("h2", "", make("span", "path", file.path));
    if (file.new) title.append(make("span", "chip new", "new file"));
    title.append(make("span", "count", plural(count, "change")));
    const box = make("section", "file", title);
    box.setAttribute("aria-label", file.path);
    for (const hunk of file.hunks) {
      const height = Math.ceil((hunk.lines.length * 20 + hunk.of.length * 56 + 30) / 100) * 100;
      sizes.add(height);
      hunk.element = make("article", `hunk h${height}`);
      hunk.element.tabIndex = -1;
      hunk.element.hunk = hunk;
      hunk.element.addEventListener("pointerdown", () => setCurrent(hunk, false));
      watcher.observe(hunk.element);
      box.append(hunk.element);
    }
    file.element = box;
    list.append(box);
  }
  // What is not filled yet has its size all the same: what has none is never seen to come into view.
  const rules = [...sizes].map((size) => `.h${size} { contain-intrinsic-size: auto ${size}px; } .h${size}:empty { min-height: ${size}px; }`);
  sheet.replaceSync(rules.join("\n"));
  byId("files").append(list);
}

// ---- the choice ----------------------------------------------------------------------------------------------------

function take(some, isTaken) {
  for (const group of new Set(some.map((hunk) => hunk.group))) {
    for (const hunk of group.hunks) {
      hunk.taken = isTaken;
      if (hunk.tick) hunk.tick.checked = isTaken;
      hunk.element.classList.toggle("is-taken", isTaken);
    }
  }
  count();
}

function count() {
  const taken = hunks.filter((hunk) => hunk.taken).length;
  const visible = hunks.filter((hunk) => !hunk.element.hidden).length;
  byId("taken").textContent = `${taken} of ${hunks.length} taken` + (visible < hunks.length ? `, ${visible} shown` : "");
  byId("meter").animate([{ transform: `scaleX(${hunks.length ? taken / hunks.length : 0})` }], { fill: "forwards", duration: 1 });
}

function patch() {
  let text = "";
  for (const file of files) {
    const taken = file.hunks.filter((hunk) => hunk.taken && !hunk.masked);
    if (taken.length === 0) continue;
    const tab = file.tab ? "\t" : "";
    text += `diff --git ${file.a} ${file.b}\n`;
    if (file.new) text += "new file mode 100644\n";
    text += `--- ${file.new ? "/dev/null" : file.a + tab}\n+++ ${file.b}${tab}\n`;
    let moved = 0;
    for (const hunk of taken) {
      const [at, length] = hunk.old;
      const range = (start, lines) => (lines === 1 ? `${start + 1}` : lines === 0 ? `${start},0` : `${start + 1},${lines}`);
      text += `@@ -${range(at, length)} +${range(at + moved, hunk.new[1])} @@\n${hunk.lines.join("\n")}\n`;
      moved += hunk.new[1] - length;
    }
  }
  return text;
}

// A string of TOML. JSON's escapes are TOML's, but for the one character that JSON leaves as it is.
const toml = (text) => JSON.stringify(text).replace(/\u007f/g, "\\u007f");
const literal = (text) => text.replace(/[*?[\]{}!\\]/g, (char) => (char === "\\" ? "[\\\\]" : `[${char}]`));

function selection() {
  const entries = new Map();
  for (const hunk of hunks.filter((hunk) => !hunk.taken)) {
    for (const finding of hunk.of) {
      const lines = [`rule = ${toml(finding.rule)}`, `path = ${toml(literal(`/${finding.path}`))}`];
      if (finding.kind) lines.push(`object = ${toml(literal(`${finding.kind}/${finding.name}`))}`);
      entries.set(lines.join("\n"), finding);
    }
  }
  const taken = hunks.filter((hunk) => hunk.taken).length;
  let text = `# ${taken} of ${hunks.length} changes were taken in review. Put this into caseharden.toml, or use it once:\n#     caseharden apply --config FILE\n# Where two containers of an object have the same problem, both are left.\n`;
  for (const lines of entries.keys()) text += `\n[[allow]]\n${lines}\nreason = "left out in review"\n`;
  return text;
}

function save(name, text) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
}

// ---- filters and summary -------------------------------------------------------------------------------------------

const folder = (path) => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");

function matches(hunk, wanted) {
  if (wanted.rule && !hunk.rules.has(wanted.rule) && !hunk.of.some((finding) => run.rules[finding.rule].area === wanted.rule)) return false;
  if (wanted.namespace && !hunk.spaces.has(wanted.namespace === "none" ? "" : wanted.namespace.slice(1))) return false;
  if (wanted.path && folder(hunk.file.path) !== wanted.path.slice(1) && !folder(hunk.file.path).startsWith(`${wanted.path.slice(1)}/`)) return false;
  if (wanted.safety && hunk.isSafe !== (wanted.safety === "safe")) return false;
  if (wanted.choice && hunk.taken !== (wanted.choice === "yes")) return false;
  if (wanted.severity && !hunk.of.some((finding) => finding.severity === wanted.severity)) return false;
  if (!wanted.text) return true;
  hunk.searched ??= [hunk.file.path, ...hunk.of.flatMap((finding) => [finding.rule, finding.message, ...finding.notes]), ...hunk.lines].join("\n").toLowerCase();
  return wanted.text.split(/\s+/).every((word) => hunk.searched.includes(word));
}

let severity = "";

function filter() {
  const value = (name) => byId(`f-${name}`).value;
  const wanted = { text: value("text").trim().toLowerCase(), rule: value("rule"), namespace: value("namespace"), path: value("path"), safety: value("safety"), choice: value("choice"), severity };
  for (const file of files) {
    let visible = 0;
    for (const hunk of file.hunks) {
      hunk.element.hidden = !matches(hunk, wanted);
      visible += hunk.element.hidden ? 0 : 1;
    }
    file.element.hidden = visible === 0;
  }
  byId("empty").hidden = hunks.some((hunk) => !hunk.element.hidden) || hunks.length === 0;
  count();
}

function options(id, values) {
  for (const [value, text] of values) {
    const option = make("option", "", text);
    option.value = value;
    byId(id).append(option);
  }
}

function tally(key) {
  const counts = new Map();
  for (const hunk of hunks) for (const value of new Set(hunk.of.map(key))) counts.set(value, (counts.get(value) || 0) + 1);
  return counts;
}

function bars(title, counts, order, act) {
  const most = Math.max(1, ...counts.values());
  const box = make("div", "bars");
  for (const name of order.filter((name) => counts.has(name))) {
    const svg = byId("bar").content.firstElementChild.cloneNode(true);
    svg.firstElementChild.setAttribute("width", `${(100 * counts.get(name)) / most}%`);
    const row = make("button", `is-${name}`, make("span", "", name), svg, make("span", "", String(counts.get(name))));
    row.type = "button";
    row.title = `Show only ${name}`;
    row.addEventListener("click", () => act(name));
    box.append(row);
  }
  return make("div", "", make("h2", "", title), box);
}

function summary() {
  const box = byId("summary");
  const safe = hunks.filter((hunk) => hunk.isSafe).length;
  const totals = make("p", "", make("b", "", `${plural(hunks.length, "change")} in ${plural(files.length, "file")}`), `: ${safe} safe, ${hunks.length - safe} to review.`);
  if (run.byHand > 0) totals.append(` ${plural(run.byHand, "finding")} left to a person: caseharden check lists them.`);
  if (run.belowLevel > 0) totals.append(` ${run.belowLevel} ${run.belowLevel === 1 ? "fix" : "fixes"} held back by the level.`);
  if (run.hidden > 0) totals.append(` ${plural(run.hidden, "change")} on or beside a line with a secret not shown; caseharden apply makes those too.`);
  const areas = tally((finding) => run.rules[finding.rule].area);
  const set = (id, value) => {
    byId(id).value = value;
    filter();
  };
  box.append(
    make("div", "", make("h2", "", "Summary"), totals),
    bars("Severity", tally((finding) => finding.severity), SEVERITIES, (name) => {
      severity = severity === name ? "" : name;
      filter();
    }),
    bars("Area", areas, [...areas.keys()], (name) => set("f-rule", byId("f-rule").value === name ? "" : name)),
  );
  if (run.namespaces.length > 0) {
    const head = make("tr", "", ...["namespace", "enforces", "after"].map((text) => make("th", "", text)));
    const lines = run.namespaces.map((space) => make("tr", "", make("td", "", space.name), make("td", "", space.now), make("td", "", space.after)));
    box.append(make("div", "", make("h2", "", "What namespaces could enforce"), make("table", "", make("thead", "", head), make("tbody", "", ...lines))));
  }
  if (run.skipped.length > 0) {
    const lines = run.skipped.map((skip) => make("p", "facts", make("b", "", `${skip.path}: `), `${skip.reason}: ${skip.detail}`));
    box.append(make("div", "", make("h2", "", "Could not be read"), ...lines));
  }
}

function network() {
  if (!byId("before")) return;
  const pictures = make("div", "pictures");
  for (const [id, title] of [["before", "As it is"], ["after", "With the changes"]]) {
    pictures.append(make("figure", "", make("figcaption", "", title), byId(id).content.cloneNode(true)));
  }
  // Side by side only where neither has to be drawn smaller than its text can be read.
  const widest = Math.max(...[...pictures.querySelectorAll("svg")].map((svg) => Number(svg.getAttribute("width"))));
  pictures.classList.toggle("is-wide", widest > 540);
  byId("network").append(make("h2", "", "Who may connect to whom"), pictures);
  byId("network").hidden = false;
}

// ---- keys ----------------------------------------------------------------------------------------------------------

let current = null;

function setCurrent(hunk, scrolls = true) {
  current?.element.classList.remove("is-current");
  current = hunk;
  fill(hunk);
  hunk.element.classList.add("is-current");
  if (scrolls) {
    hunk.element.focus({ preventScroll: true });
    hunk.element.scrollIntoView({ block: "start" });
  }
}

function step(by, byFile) {
  const visible = hunks.filter((hunk) => !hunk.element.hidden);
  if (visible.length === 0) return;
  let at = visible.indexOf(current);
  if (at < 0) return setCurrent(visible[by > 0 ? 0 : visible.length - 1]);
  if (byFile) {
    const file = visible[at].file;
    while (visible[at] && visible[at].file === file) at += by;
    while (by < 0 && at > 0 && visible[at - 1].file === visible[at].file) at--;
  } else at += by;
  if (visible[at]) setCurrent(visible[at]);
}

function toggleLayout() {
  isSplit = !isSplit;
  byId("layout").setAttribute("aria-pressed", String(isSplit));
  hunks.forEach(redraw);
}

function toggleTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
}

const ofRules = (hunk) => hunks.filter((other) => [...other.rules].some((rule) => hunk.rules.has(rule)));

const KEYS = {
  j: () => step(1), k: () => step(-1), J: () => step(1, true), K: () => step(-1, true),
  x: () => current && take([current], !current.taken),
  y: () => current && (take([current], true), step(1)),
  n: () => current && (take([current], false), step(1)),
  a: () => current && take(ofRules(current), true),
  s: () => current && take(ofRules(current), false),
  o: () => current && openAll(current),
  v: toggleLayout, t: toggleTheme,
  "/": () => byId("f-text").focus(),
  "?": () => byId("help").showModal(),
};

function openAll(hunk) {
  const all = [...hunk.element.querySelectorAll("details")];
  const isOpen = all.some((details) => details.open);
  for (const details of all) details.open = !isOpen;
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
  if (event.key === "Escape" && isTyping && event.target.id === "f-text") event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

build();
options("f-rule", [...tally((finding) => run.rules[finding.rule].area).keys()].sort().map((area) => [area, `all of ${area}`]));
options("f-rule", Object.keys(run.rules).sort().map((rule) => [rule, rule]));
options("f-namespace", [...new Set(hunks.flatMap((hunk) => [...hunk.spaces]))].sort().map((name) => (name ? [`=${name}`, name] : ["none", "unknown"])));
options("f-path", [...new Set(files.map((file) => folder(file.path)))].sort().map((path) => [`=${path}`, path || "(root)"]));
summary();
network();
take(hunks.filter((hunk) => hunk.taken), true);
byId("filters").addEventListener("input", filter);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => {
  severity = "";
  setTimeout(filter);
});
byId("tick-shown").addEventListener("click", () => take(hunks.filter((hunk) => !hunk.element.hidden), true));
byId("untick-shown").addEventListener("click", () => take(hunks.filter((hunk) => !hunk.element.hidden), false));
byId("layout").addEventListener("click", toggleLayout);
byId("theme").addEventListener("click", toggleTheme);
byId("help-button").addEventListener("click", () => byId("help").showModal());
byId("export-patch").addEventListener("click", () => save("hardening.patch", patch()));
byId("export-toml").addEventListener("click", () => save("caseharden-choice.toml", selection()));
addEventListener("beforeprint", () => hunks.forEach(fill));
