"use strict";
// Saves a figure as PNG, SVG or PDF: made in the page, nothing is asked of anybody.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-save]");
  if (!button) return;
  const kind = button.dataset.save, name = button.parentElement.dataset.figure;
  const plot = document.getElementById(`figure-${name}`);
  const size = { width: plot.clientWidth, height: plot.clientHeight };
  const said = button.parentElement.querySelector("output");
  said.textContent = "";
  try {
    const drawn = await Plotly.toImage(plot, { format: kind === "png" ? "png" : "svg", scale: kind === "png" ? 3 : 1, ...size });
    const svg = kind === "png" ? "" : decodeURIComponent(drawn.slice(drawn.indexOf(",") + 1));
    const blob = kind === "pdf" ? await pdfOf(svg, document.title) : kind === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : null;
    const link = document.createElement("a");
    link.download = `${name}.${kind}`;
    link.href = blob ? URL.createObjectURL(blob) : drawn;
    link.click();
    if (blob) setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    said.textContent = `${name}.${kind} could not be made: ${error.message}`;
  }
});
