"use strict";
// Which configuration keeps the bound, and what a clicked point is. Texts are set as text, never as HTML.
(() => {
  const facts = JSON.parse(document.getElementById("decide-facts").textContent);
  const slider = document.getElementById("bound");
  const said = document.getElementById("bound-said");
  const decided = document.getElementById("decided");
  const strip = document.getElementById("decided-faces");
  const clicked = document.getElementById("clicked");
  const [low, high] = facts.ends;
  const lower = facts.ways[0] === "min";

  const element = (tag, text, parent) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  const faces = (label, parent) => {
    const own = [...document.querySelectorAll(".sheet img")].filter((img) => img.dataset.row === label);
    if (!own.length) return false;
    const before = [...document.querySelectorAll(".sheet img")].filter((img) => img.dataset.row === "original");
    const sheet = element("div", undefined, parent);
    sheet.className = "strip";
    sheet.style.gridTemplateColumns = `repeat(${own.length}, minmax(56px, 112px))`;
    for (const img of [...before, ...own]) {
      const copy = element("img", undefined, sheet);
      copy.src = img.src;
      copy.alt = img.alt;
    }
    return true;
  };

  // The tables stand further down in the page, where their script does.
  const drawn = (trial, name) => {
    if (document.getElementById("confusions")) drawConfusions(facts.confusions, String(trial), name);
  };

  const decide = () => {
    const bound = low + (high - low) * slider.value / 100;
    said.textContent = facts.rate ? Math.round(100 * bound) : bound.toPrecision(3);
    const end = (choice) => choice.interval[lower ? 1 : 0];
    const keeps = (choice) => (lower ? end(choice) <= bound : end(choice) >= bound);
    const better = (a, b) => (facts.ways[1] === "min" ? a.value - b.value : b.value - a.value);
    const kept = facts.choices.filter(keeps).sort(better);
    strip.replaceChildren();
    decided.replaceChildren();
    strip.hidden = true;
    if (!kept.length) {
      const near = [...facts.choices].sort((a, b) => (lower ? end(a) - end(b) : end(b) - end(a)))[0];
      decided.dataset.trial = "";
      decided.append("No configuration on the front keeps this with its whole interval; the nearest is ");
      element("b", near.name, decided);
      decided.append(`: ${facts.bounded} ${near.bounded}.`);
      drawn(near.trial, near.name);
      return;
    }
    const choice = kept[0];
    decided.dataset.trial = choice.trial;
    element("b", choice.name, decided);
    decided.append(` (trial ${choice.trial}): ${facts.best} ${choice.best}, ${facts.bounded} ${choice.bounded}.`);
    strip.hidden = !faces(choice.name, strip);
    drawn(choice.trial, choice.name);
  };

  // What was measured of a trial, with the names that stand once for all of them.
  const measured = (kind, found) => facts.columns[kind]
    .map((name, n) => [name.replace(/^rank1_/, ""), found[kind][n]])
    .filter(([, value]) => value !== "–");

  const show = (trial) => {
    const found = facts.details[trial];
    if (!found) return;
    clicked.replaceChildren();
    clicked.hidden = false;
    clicked.dataset.trial = trial;
    element("h3", `Trial ${trial}: ${found.name}`, clicked);
    faces(found.label, clicked);
    const columns = element("div", undefined, clicked);
    columns.className = "columns";
    for (const [titles, lines] of [
      [["hyperparameter", ""], found.hyperparameters],
      [["attacker, rank-1", ""], measured("attackers", found).sort((a, b) => parseFloat(b[1]) - parseFloat(a[1]))],
      [["reader", ""], measured("readers", found)],
      [["group", "rank1_worst", "expression_kept"], found.groups],
    ]) {
      if (!lines.length) continue;
      const table = element("table", undefined, columns);
      const head = element("tr", undefined, element("thead", undefined, table));
      titles.forEach((title, n) => { element("th", title, head).className = n ? "" : "text"; });
      const body = element("tbody", undefined, table);
      for (const [name, ...values] of lines) {
        const line = element("tr", undefined, body);
        element("td", name, line).className = "text";
        for (const value of values) element("td", value, line);
      }
    }
    drawn(trial, found.label);
    clicked.focus({ preventScroll: true });
    clicked.scrollIntoView({ block: "nearest" });
  };

  slider.addEventListener("input", decide);
  decide();
  document.addEventListener("DOMContentLoaded", () => {
    decide();
    for (const plot of document.querySelectorAll(".js-plotly-plot")) {
      if (plot.on) plot.on("plotly_click", (event) => show(String(event.points[0].customdata)));
    }
    for (const line of document.querySelectorAll("tr[data-trial]")) {
      line.addEventListener("click", () => show(line.dataset.trial));
      line.addEventListener("keydown", (event) => {
        if (event.key === "Enter") show(line.dataset.trial);
      });
    }
    for (const box of document.querySelectorAll("#methods input")) {
      box.addEventListener("change", () => filter());
    }
  });

  const filter = () => {
    const hidden = new Set([...document.querySelectorAll("#methods input:not(:checked)")].map((box) => box.value));
    for (const line of document.querySelectorAll("tr[data-method]")) line.hidden = hidden.has(line.dataset.method);
    for (const plot of document.querySelectorAll(".js-plotly-plot")) {
      if (!plot.data) continue;
      const shown = plot.data.map((trace) => !hidden.has(trace.legendgroup));
      Plotly.restyle(plot, { visible: shown });
    }
  };
})();
