"use strict";
// Tables of what is read of each expression, for one trial. Texts are set as text, never as HTML.
const drawConfusions = (facts, trial, name) => {
  const place = document.getElementById("confusions");
  if (!place) return;
  const element = (tag, text, parent) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  const found = facts.trials[trial];
  place.replaceChildren();
  place.dataset.trial = found ? trial : "";
  document.getElementById("confusions-of").textContent = found
    ? `Trial ${trial}: ${name}`
    : `Trial ${trial}: ${name}. This page has the tables of the front and the anchors; ledger.arrow has those of every trial.`;
  for (const [judge, readers] of Object.entries(found || {})) {
    const classes = facts.classes[judge];
    for (const [reader, counts] of Object.entries(readers)) {
      const figure = element("div", undefined, place);
      const table = element("table", undefined, figure);
      const right = classes.reduce((sum, _, n) => sum + counts[n * classes.length + n], 0);
      const all = counts.reduce((sum, one) => sum + one, 0);
      element("caption", `${judge}, ${reader} reader: ${right} of ${all} alike`, table);
      const head = element("tr", undefined, element("thead", undefined, table));
      element("th", judge === "labels" ? "label ↓ read →" : "clear ↓ read →", head).className = "text";
      for (const one of [...classes, "n"]) element("span", one, element("th", undefined, head));
      const body = element("tbody", undefined, table);
      classes.forEach((one, n) => {
        const line = element("tr", undefined, body);
        const label = element("th", one, line);
        label.className = "text";
        label.scope = "row";
        const own = counts.slice(n * classes.length, (n + 1) * classes.length);
        const sum = own.reduce((total, count) => total + count, 0);
        own.forEach((count, m) => {
          const share = sum ? count / sum : 0;
          const cell = element("td", sum ? share.toFixed(2) : "–", line);
          cell.title = `${one}, read as ${classes[m]}: ${count} of ${sum}`;
          cell.style.background = `color-mix(in srgb, var(--mark) ${Math.round(60 * share)}%, transparent)`;
          if (n === m) cell.className = "diagonal";
        });
        element("td", sum, line).className = "sum";
      });
    }
  }
};
