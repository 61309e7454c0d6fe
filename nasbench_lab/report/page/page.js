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
    const number = text.replace(/,/g, "").match(/-?\d+(\.\d+)?(e[+-]?\d+)?/i);
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

  // the cell explorer, of every space there is
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const numbers = (text, Kind) => new Kind(bytes(text).buffer);
  all("script.explorer-data").forEach((source) => explorer(JSON.parse(source.textContent), source.dataset.suffix));

  function explorer(data, suffix) {
    const counts = data.options.map((options) => options.length), width = counts.length;
    const rows = data.rows ? numbers(data.rows, data.bytes === 1 ? Uint8Array : Uint16Array) : null;
    const place = data.order ? numbers(data.order, Uint32Array) : null; // lexicographic, of a product's cell; its index if null
    const index = place && new Uint32Array(place.length);
    if (place) place.forEach((position, arch) => { index[position] = arch; });
    const listed = rows && new Map(Array.from({ length: data.count }, (_, arch) => [rows.slice(width * arch, width * (arch + 1)).join(), arch]));
    const vectors = data.scores.map((score) => ({ ...score, values: numbers(score.values, Float32Array) }));
    function opsOf(arch) {
      if (rows) return [...rows.slice(width * arch, width * (arch + 1))];
      const ops = [];
      for (let p = place ? place[arch] : arch, i = width - 1; i >= 0; i -= 1) { ops.unshift(p % counts[i]); p = Math.floor(p / counts[i]); }
      return ops;
    }
    function archOf(ops) { // null where a listed space has no such cell
      if (listed) return listed.get(ops.join()) ?? null;
      const position = ops.reduce((p, op, i) => counts[i] * p + op, 0);
      return place ? index[position] : position;
    }
    const string = (ops) => [[0], [1, 2], [3, 4, 5]].map((edges) => `|${edges.map((e) => `${data.ops[ops[e]]}~${data.edges[e][0]}`).join("|")}|`).join("+");
    const labels = (ops) => ops.map((op, i) => `${data.names[i]}=${data.options[i][op]}`).join(", ");
    const text = data.ops ? string : labels;
    function canonical(ops) { // equal for two cells that are one network
      const nodes = ["0"];
      for (const node of [1, 2, 3]) {
        const terms = [];
        data.edges.forEach(([from, to], e) => {
          if (to !== node) return;
          if (data.roles[ops[e]] === "none" || nodes[from] === "#") terms.push("#");
          else terms.push(data.roles[ops[e]] === "skip" ? nodes[from] : `(${nodes[from]})@${ops[e]}`);
        });
        nodes.push(terms.sort().join("+"));
      }
      return nodes[3];
    }
    let classes = null;
    function members(arch) {
      if (!classes) {
        classes = new Map();
        for (let other = 0; other < data.count; other += 1) { const key = canonical(opsOf(other)); classes.has(key) ? classes.get(key).push(other) : classes.set(key, [other]); }
      }
      return classes.get(canonical(opsOf(arch)));
    }
    const named = data.ops && new RegExp([...data.ops].sort((a, b) => b.length - a.length).map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "g");
    const number = (options, word) => {
      const found = options.indexOf(word);
      return found >= 0 || word === "" || Number.isNaN(Number(word)) ? found : options.findIndex((option) => Number(option) === Number(word));
    };
    function parse(words) {
      words = words.trim();
      if (/^\d+$/.test(words)) return Number(words) < data.count ? Number(words) : null;
      const found = named && words.match(named);
      if (found && found.length === width) return archOf(found.map((name) => data.ops.indexOf(name)));
      let parts = words.split(",").map((part) => part.trim());
      const pairs = new Map(parts.map((part) => { const at = part.indexOf("="); return [part.slice(0, Math.max(at, 0)).trim(), part.slice(at + 1).trim()]; }));
      if (data.names.every((name) => pairs.has(name))) parts = data.names.map((name) => pairs.get(name));
      if (parts.length !== width) return null;
      const ops = parts.map((part, i) => number(data.options[i], part));
      return ops.includes(-1) ? null : archOf(ops);
    }
    const live = (ops) => data.edges.map((_, e) => data.paths.some((path) => path.includes(e) && path.every((edge) => data.roles[ops[edge]] !== "none")));
    const safe = (words) => words.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
    function picture(arch) {
      const ops = opsOf(arch), on = live(ops), lines = [], words = [];
      ops.forEach((op, e) => {
        const stroke = data.strokes[op], [route, x, y] = data.routes[e], hue = on[e] ? stroke.variable : "others";
        lines.push(`<path d="${route}" fill="none" stroke="var(--${hue})" stroke-width="${stroke.width}"${stroke.dash ? ` stroke-dasharray="${stroke.dash}"` : ""}/>`);
        if (data.roles[op] === "none") return;
        const wide = 6.6 * stroke.label.length + 8;
        words.push(`<rect x="${x - wide / 2}" y="${y - 9}" width="${wide}" height="18" rx="4" fill="var(--paper)"/><text x="${x}" y="${y + 4}" font-size="12" text-anchor="middle" fill="var(--${on[e] ? "ink" : "muted"})">${safe(stroke.label)}</text>`);
      });
      return `<svg viewBox="0 0 ${data.size[0]} ${data.size[1]}" class="cell" role="img" aria-label="Cell ${arch}: ${safe(text(ops))}">${lines.join("")}${data.nodes}${words.join("")}</svg>`;
    }
    const rankOf = (score, arch) => 1 + score.values.reduce((better, other) => better + (score.sign * other > score.sign * score.values[arch]), 0);
    const read = (score, value) => (score.percent ? value.toFixed(2) : `${Number(value.toPrecision(4))}`);
    const shownScore = (score, arch) => (Number.isNaN(score.values[arch]) ? "not measured" : read(score, score.values[arch]));
    const part = (name) => document.getElementById(`cell${name}${suffix}`);
    const field = part(""), out = part("-facts"), near = part("-near"), drawn = part("-svg"), wrong = part("-wrong");
    const selects = all("select", part("-ops"));
    const say = (words) => { wrong.textContent = words; field.setAttribute("aria-invalid", String(words !== "")); };
    function show(arch, typed = false) {
      const ops = opsOf(arch);
      if (!typed) field.value = arch;
      say("");
      selects.forEach((select, e) => { select.value = ops[e]; });
      if (drawn) drawn.innerHTML = picture(arch);
      const facts = [["cell", `${arch}`], [data.ops ? "string" : "options", text(ops)]];
      if (data.classes) {
        const same = members(arch), few = same.slice(0, 12).join(", ") + (same.length > 12 ? ", ..." : "");
        facts.push(["same network", same.length > 1 ? `${same.length} cells: ${few}` : "no other cell"]);
      }
      if (data.params) facts.push(["parameters", `${(0.073306 + 0.24304 * ops.filter((op) => op === 3).length + 0.028 * ops.filter((op) => op === 2).length).toFixed(3)} M (CIFAR-10 network)`]);
      vectors.forEach((score) => {
        const known = score.values.filter((other) => !Number.isNaN(other)).length.toLocaleString("en");
        const rank = Number.isNaN(score.values[arch]) ? "" : ` (rank ${rankOf(score, arch).toLocaleString("en")} of ${known})`;
        facts.push([score.name, shownScore(score, arch) + rank]);
      });
      out.replaceChildren(...facts.flatMap(([key, words]) => { const dt = document.createElement("dt"), dd = document.createElement("dd"); dt.textContent = key; dd.textContent = words; return [dt, dd]; }));
      const around = [];
      ops.forEach((own, e) => data.options[e].forEach((name, op) => {
        const other = op === own ? null : archOf(ops.map((o, i) => (i === e ? op : o)));
        if (other === null) return;
        const value = vectors.length ? vectors[0].sign * vectors[0].values[other] : 0;
        around.push({ edge: data.ops ? data.edges[e].join("-") : data.names[e], name, other, score: Number.isNaN(value) ? -Infinity : value });
      }));
      if (vectors.length) around.sort((a, b) => b.score - a.score || 0);
      near.tBodies[0].replaceChildren(...around.map((row) => {
        const line = document.createElement("tr"), button = document.createElement("button");
        button.type = "button";
        button.textContent = row.other;
        button.addEventListener("click", () => show(row.other));
        [button, row.edge, row.name, ...(vectors.length ? [shownScore(vectors[0], row.other)] : [])].forEach((item, i) => {
          const cell = document.createElement(i ? "td" : "th");
          if (!i) cell.scope = "row";
          cell.append(item);
          line.append(cell);
        });
        return line;
      }));
    }
    const asked = data.ops ? "six operations" : `${width} label${width === 1 ? "" : "s"} separated by commas, of a cell that exists`;
    field.addEventListener("input", () => {
      const arch = parse(field.value);
      if (arch === null) say(`Not a cell: an index from 0 to ${data.count - 1}, or ${asked}.`);
      else show(arch, true);
    });
    selects.forEach((select) => select.addEventListener("input", () => {
      const arch = archOf(selects.map((each) => Number(each.value)));
      if (arch === null) say("No such cell: these options are not listed together.");
      else show(arch);
    }));
    show(data.start);
  }
})();
