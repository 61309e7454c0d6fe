// The report page: sorting, filters, switches of the curves, hints, theme, the cell explorer. The page stands without it.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);

  // theme: as the system has it, until a reader chooses
  const theme = one("#theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const label = () => { theme.textContent = shown() === "dark" ? "Light" : "Dark"; };
  try { const kept = localStorage.getItem("theme"); if (kept) root.dataset.theme = kept; } catch { /* not allowed here */ }
  theme.addEventListener("click", () => {
    root.dataset.theme = shown() === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not allowed here */ }
    label();
  });
  dark.addEventListener("change", label);
  label();

  // sorting: a head sorts by the first number in its cells, or by their text; empty cells come last
  const value = (cell) => {
    const text = cell.textContent.trim();
    const number = text.replace(/,/g, "").match(/-?\d+(\.\d+)?/);
    return cell.classList.contains("text") ? text : number ? Number(number[0]) : null;
  };
  all("table.rank thead button").forEach((button) => button.addEventListener("click", () => {
    const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = [...body.rows].map((row, i) => [value(row.cells[head.cellIndex]), i, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j;
      const order = typeof a === "string" ? a.localeCompare(b) : a - b;
      return (down ? -order : order) || i - j;
    });
    body.append(...keyed.map(([, , row]) => row));
  }));

  // what a head means: below it, wherever its table was scrolled to
  all(".rank thead .tip").forEach((tip) => {
    const head = tip.parentElement, button = one("button", head);
    const put = () => {
      const box = head.getBoundingClientRect(), wide = tip.offsetWidth;
      tip.style.top = `${box.bottom}px`;
      tip.style.left = `${Math.max(8, Math.min(box.left, root.clientWidth - wide - 8))}px`;
    };
    button.addEventListener("pointerenter", put);
    button.addEventListener("focus", put);
  });

  // filters: settings by table and budget, strategies by family and text
  const chosen = (name) => { const field = one(`#filter-${name}`); return field ? field.value : ""; };
  const status = one("#filter-status");
  function filter() {
    const table = chosen("table"), budget = chosen("budget"), family = chosen("family"), text = chosen("text").trim().toLowerCase();
    all(".setting").forEach((part) => {
      part.hidden = (table !== "" && part.dataset.table !== table) || (budget !== "" && part.dataset.budget !== budget);
    });
    all("[data-family]").forEach((part) => {
      part.hidden = (family !== "" && part.dataset.family !== family) || !part.dataset.name.toLowerCase().includes(text);
    });
    const rows = all("table.rank tbody tr").filter((row) => !row.hidden && !row.closest("[hidden]")).length;
    status.textContent = table || budget || family || text ? `${rows} rows shown` : "";
  }
  all(".filters select, .filters input").forEach((field) => field.addEventListener("input", filter));

  // switches: which strategies the charts show; hovering or focusing one dims the others
  const sheet = document.createElement("style");
  document.head.append(sheet);
  const boxes = all("#series input");
  let focus = null;
  function draw() {
    const off = boxes.filter((box) => !box.checked).map((box) => `:is(.chart, .names) [data-s="${box.dataset.s}"]`);
    const rules = off.length ? [`${off.join(",")}{display:none}`] : [];
    if (focus !== null) {
      const hue = one(`#series label[data-s="${focus}"] path`)?.getAttribute("stroke") || "var(--ink)";
      rules.push(`.chart.focus [data-s="${focus}"]{opacity:1}`,
        `.chart.focus path[data-s="${focus}"][stroke],.chart.focus line[data-s="${focus}"]{stroke:${hue};stroke-width:2.6px}`,
        `.chart.focus text[data-s="${focus}"]{fill:${hue}}`);
    }
    sheet.textContent = rules.join("\n");
    all("svg.chart").forEach((chart) => chart.classList.toggle("focus", focus !== null && !!one(`[data-s="${focus}"]`, chart)));
  }
  boxes.forEach((box) => box.addEventListener("change", draw));
  all("#series button").forEach((button) => button.addEventListener("click", () => {
    boxes.forEach((box) => { box.checked = button.dataset.show === "all" || (button.dataset.show === "hot" && "hot" in box.dataset); });
    draw();
  }));
  const look = (number) => { if (focus !== number) { focus = number; draw(); } };
  all("#series label, table.rank tbody tr").forEach((part) => {
    part.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") look(part.dataset.s); });
    part.addEventListener("pointerleave", () => look(null));
    part.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) look(part.dataset.s); });
    part.addEventListener("focusout", () => look(null));
  });

  // hints: what a mark stands for
  const hint = document.createElement("div");
  hint.id = "hint";
  hint.hidden = true;
  document.body.append(hint);
  const names = new Map(all("#series label").map((part) => [part.dataset.s, part.title]));
  function point(event) {
    const mark = event.target.closest?.(".chart [data-s], .chart [data-t]");
    hint.hidden = !mark;
    look(mark?.dataset.s ?? (event.target.closest?.("#series label, table.rank tbody tr")?.dataset.s ?? null));
    if (!mark) return;
    hint.textContent = mark.dataset.t || names.get(mark.dataset.s) || "";
    const box = hint.getBoundingClientRect();
    hint.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    hint.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 10 : event.clientY + 18}px`;
  }
  document.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") point(event); });
  document.addEventListener("pointerdown", point);

  // charts too wide for the screen can be scrolled by keyboard
  const named = (part) => [one("h4", part.parentElement)?.textContent, one("h3", part.closest(".setting, section"))?.textContent, "scrolls sideways"].filter(Boolean).join(", ");
  const reach = () => all("figure > .scroll").forEach((part) => {
    const wide = part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX !== "hidden";
    if (wide) { part.tabIndex = 0; part.setAttribute("role", "region"); part.setAttribute("aria-label", named(part)); }
    else ["tabindex", "role", "aria-label"].forEach((name) => part.removeAttribute(name));
  });
  addEventListener("resize", reach);
  reach();

  // a link to a strategy opens it
  function open() {
    const part = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (part && part.tagName === "DETAILS") part.open = true;
  }
  addEventListener("hashchange", open);
  all('a[href^="#s"]').forEach((link) => link.addEventListener("click", () => setTimeout(open)));
  open();
  let opened = [];
  addEventListener("beforeprint", () => { opened = all("details.strategy:not([open])"); opened.forEach((part) => { part.open = true; }); });
  addEventListener("afterprint", () => opened.forEach((part) => { part.open = false; }));

  // the cell explorer
  const source = one("#explorer-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const numbers = (text, Kind) => new Kind(bytes(text).buffer);
  const place = numbers(data.order, Uint16Array), index = new Uint16Array(place.length);
  place.forEach((position, arch) => { index[position] = arch; });
  const vectors = data.scores.map((score) => ({ ...score, values: numbers(score.values, Float32Array) }));
  const opsOf = (arch) => { const ops = []; for (let p = place[arch], i = 0; i < 6; i += 1) { ops.unshift(p % 5); p = Math.floor(p / 5); } return ops; };
  const archOf = (ops) => index[ops.reduce((p, op) => 5 * p + op, 0)];
  const text = (ops) => [[0], [1, 2], [3, 4, 5]].map((edges) => `|${edges.map((e) => `${data.ops[ops[e]]}~${data.edges[e][0]}`).join("|")}|`).join("+");
  function canonical(ops) { // equal for two cells that are one network
    const nodes = ["0"];
    for (const node of [1, 2, 3]) {
      const terms = [];
      data.edges.forEach(([from, to], e) => {
        if (to !== node) return;
        if (ops[e] === 0 || nodes[from] === "#") terms.push("#");
        else terms.push(ops[e] === 1 ? nodes[from] : `(${nodes[from]})@${ops[e]}`);
      });
      nodes.push(terms.sort().join("+"));
    }
    return nodes[3];
  }
  let classes = null;
  function members(arch) {
    if (!classes) {
      classes = new Map();
      place.forEach((_, other) => { const key = canonical(opsOf(other)); classes.has(key) ? classes.get(key).push(other) : classes.set(key, [other]); });
    }
    return classes.get(canonical(opsOf(arch)));
  }
  function parse(words) {
    words = words.trim();
    if (/^\d+$/.test(words)) return Number(words) < place.length ? Number(words) : null;
    const found = words.match(new RegExp(data.ops.join("|"), "g"));
    return found && found.length === 6 ? archOf(found.map((name) => data.ops.indexOf(name))) : null;
  }
  const live = (ops) => data.edges.map((_, e) => data.paths.some((path) => path.includes(e) && path.every((edge) => ops[edge] !== 0)));
  function picture(arch) {
    const ops = opsOf(arch), on = live(ops), lines = [], words = [];
    ops.forEach((op, e) => {
      const stroke = data.strokes[op], [route, x, y] = data.routes[e], hue = on[e] ? stroke.variable : "others";
      lines.push(`<path d="${route}" fill="none" stroke="var(--${hue})" stroke-width="${stroke.width}"${stroke.dash ? ` stroke-dasharray="${stroke.dash}"` : ""}/>`);
      if (op === 0) return;
      const wide = 6.6 * stroke.label.length + 8;
      words.push(`<rect x="${x - wide / 2}" y="${y - 9}" width="${wide}" height="18" rx="4" fill="var(--paper)"/><text x="${x}" y="${y + 4}" font-size="12" text-anchor="middle" fill="var(--${on[e] ? "ink" : "muted"})">${stroke.label}</text>`);
    });
    return `<svg viewBox="0 0 ${data.size[0]} ${data.size[1]}" class="cell" role="img" aria-label="Cell ${arch}: ${text(ops)}">${lines.join("")}${data.nodes}${words.join("")}</svg>`;
  }
  const rankOf = (values, arch) => 1 + values.reduce((better, other) => better + (other > values[arch]), 0);
  const shownScore = (score, arch) => (Number.isNaN(score.values[arch]) ? "not measured" : score.values[arch].toFixed(2));
  const field = one("#cell"), selects = all("#cell-ops select"), out = one("#cell-facts"), near = one("#cell-near"), drawn = one("#cell-svg"), wrong = one("#cell-wrong");
  function show(arch, typed = false) {
    const ops = opsOf(arch), same = members(arch);
    if (!typed) field.value = arch;
    selects.forEach((select, e) => { select.value = ops[e]; });
    drawn.innerHTML = picture(arch);
    const few = same.slice(0, 12).join(", ") + (same.length > 12 ? ", ..." : "");
    const facts = [["cell", `${arch}`], ["string", text(ops)], ["same network", same.length > 1 ? `${same.length} cells: ${few}` : "no other cell"],
      ["parameters", `${(0.073306 + 0.24304 * ops.filter((op) => op === 3).length + 0.028 * ops.filter((op) => op === 2).length).toFixed(3)} M (CIFAR-10 network)`]];
    vectors.forEach((score) => {
      const known = score.values.filter((other) => !Number.isNaN(other)).length.toLocaleString("en");
      const rank = Number.isNaN(score.values[arch]) ? "" : ` (rank ${rankOf(score.values, arch).toLocaleString("en")} of ${known})`;
      facts.push([score.name, shownScore(score, arch) + rank]);
    });
    out.replaceChildren(...facts.flatMap(([key, words]) => { const dt = document.createElement("dt"), dd = document.createElement("dd"); dt.textContent = key; dd.textContent = words; return [dt, dd]; }));
    const rows = [];
    ops.forEach((own, e) => data.ops.forEach((name, op) => {
      if (op === own) return;
      const other = archOf(ops.map((o, i) => (i === e ? op : o)));
      rows.push({ edge: data.edges[e].join("-"), name, other, score: vectors.length ? vectors[0].values[other] || 0 : 0 });
    }));
    if (vectors.length) rows.sort((a, b) => b.score - a.score);
    near.tBodies[0].replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr"), button = document.createElement("button");
      button.type = "button";
      button.textContent = row.other;
      button.addEventListener("click", () => show(row.other));
      [button, row.edge, row.name, ...(vectors.length ? [shownScore(vectors[0], row.other)] : [])].forEach((part, i) => {
        const cell = document.createElement(i ? "td" : "th");
        if (!i) cell.scope = "row";
        cell.append(part);
        line.append(cell);
      });
      return line;
    }));
  }
  field.addEventListener("input", () => {
    const arch = parse(field.value);
    wrong.textContent = arch === null ? "Not a cell: an index from 0 to 15624, or six operations." : "";
    field.setAttribute("aria-invalid", String(arch === null));
    if (arch !== null) show(arch, true);
  });
  selects.forEach((select) => select.addEventListener("input", () => show(archOf(selects.map((s) => Number(s.value))))));
  show(data.start);
})();
