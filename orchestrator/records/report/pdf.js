"use strict";
// A drawing of SVG as a page of PDF 1.4: paths stay paths and texts texts, in Helvetica, which every reader has.
const pdfOf = async (svg, title) => {
  const root = document.importNode(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true);
  const holder = document.createElement("div");
  holder.style.cssText = "position:absolute;left:-99999px;top:0";
  holder.append(root);
  document.body.append(holder);
  try {
    return await pdfFile(root, title);
  } finally {
    holder.remove();
  }
};

// Widths of Helvetica's signs from 32 to 126, in thousandths (Adobe's AFM); texts are stretched to the page's widths.
const HELVETICA =
  "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 584 584 584 556 " +
  "1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 " +
  "333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584";
const WIDTHS = HELVETICA.split(" ").map(Number);
const WIN_ANSI = { "€": 128, "…": 133, "‘": 145, "’": 146, "“": 147, "”": 148, "•": 149, "–": 150, "—": 151, "™": 153 };
const SYMBOL = { "←": [172, 987], "↑": [173, 603], "→": [174, 987], "↓": [175, 603], "−": [45, 549], "≤": [163, 549], "≥": [179, 549], "≈": [187, 549] };

// Which font has a sign, by which number and how wide; none has what is drawn as a picture then.
const signOf = (sign) => {
  if (sign in SYMBOL) return ["symbol", ...SYMBOL[sign]];
  const code = WIN_ANSI[sign] || sign.codePointAt(0);
  const known = sign in WIN_ANSI || (code >= 32 && code < 127) || (code >= 160 && code < 256);
  return known ? ["helvetica", code, WIDTHS[code - 32] || 556] : ["picture", 0, 0];
};

const plain = (number) => String(Math.round(number * 1000) / 1000);

// The lines and curves of a path: absolute, with arcs and quadratic curves as cubic ones.
const segmentsOf = (d) => {
  const out = [];
  const parts = d.match(/[a-zA-Z]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/g) || [];
  const takes = { M: 2, L: 2, H: 1, V: 1, C: 6, S: 4, Q: 4, T: 2, A: 7, Z: 0 };
  let [x, y, startX, startY, n, letter] = [0, 0, 0, 0, 0, "M"];
  let cubic = null, quadratic = null;
  while (n < parts.length) {
    if (/[a-zA-Z]/.test(parts[n])) letter = parts[n++];
    const kind = letter.toUpperCase(), relative = letter !== kind, count = takes[kind];
    if (count === undefined) throw new Error(`a path has the command ${letter}`);
    // Flags of an arc may stand without a space before what follows.
    const v = [];
    for (let at = 0; at < count; at += 1) {
      if (kind === "A" && (at === 3 || at === 4) && parts[n].length > 1) {
        v.push(Number(parts[n][0]));
        parts[n] = parts[n].slice(1);
      } else v.push(Number(parts[n++]));
    }
    const [ox, oy] = relative ? [x, y] : [0, 0];
    let control = null, bend = null;
    if (kind === "Z") {
      out.push(["Z"]);
      [x, y] = [startX, startY];
    } else if (kind === "H" || kind === "V") {
      [x, y] = kind === "H" ? [v[0] + ox, y] : [x, v[0] + oy];
      out.push(["L", x, y]);
    } else if (kind === "A") {
      const [toX, toY] = [v[5] + ox, v[6] + oy];
      out.push(...arc(x, y, v[0], v[1], v[2], v[3], v[4], toX, toY));
      [x, y] = [toX, toY];
    } else {
      const p = v.map((value, at) => value + (at % 2 ? oy : ox));
      const [toX, toY] = p.slice(-2);
      if (kind === "M" || kind === "L") out.push([kind, toX, toY]);
      if (kind === "M") [startX, startY, letter] = [toX, toY, relative ? "l" : "L"];
      if (kind === "C") out.push(["C", ...p]);
      if (kind === "S") out.push(["C", ...(cubic ? [2 * x - cubic[0], 2 * y - cubic[1]] : [x, y]), ...p]);
      if (kind === "C" || kind === "S") control = p.slice(-4, -2);
      if (kind === "Q" || kind === "T") {
        bend = kind === "Q" ? p.slice(0, 2) : quadratic ? [2 * x - quadratic[0], 2 * y - quadratic[1]] : [x, y];
        const third = (from, to) => from + ((to - from) * 2) / 3;
        out.push(["C", third(x, bend[0]), third(y, bend[1]), third(toX, bend[0]), third(toY, bend[1]), toX, toY]);
      }
      [x, y] = [toX, toY];
    }
    [cubic, quadratic] = [control, bend];
  }
  return out;
};

// An arc as cubic curves, by the SVG standard's notes on elliptical arcs (https://www.w3.org/TR/SVG2/implnote.html).
const arc = (x1, y1, rx, ry, angle, large, sweep, x2, y2) => {
  if (!rx || !ry) return [["L", x2, y2]];
  const turn = (angle * Math.PI) / 180, [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const [dx, dy] = [(x1 - x2) / 2, (y1 - y2) / 2];
  const [px, py] = [cos * dx + sin * dy, cos * dy - sin * dx];
  const grow = Math.sqrt(Math.max(1, (px / rx) ** 2 + (py / ry) ** 2));
  [rx, ry] = [Math.abs(rx) * grow, Math.abs(ry) * grow];
  const off = Math.max(0, ((rx * ry) ** 2 - (rx * py) ** 2 - (ry * px) ** 2) / ((rx * py) ** 2 + (ry * px) ** 2 || 1));
  const side = (large === sweep ? -1 : 1) * Math.sqrt(off);
  const [qx, qy] = [(side * rx * py) / ry, (-side * ry * px) / rx];
  const [cx, cy] = [cos * qx - sin * qy + (x1 + x2) / 2, sin * qx + cos * qy + (y1 + y2) / 2];
  const from = Math.atan2((py - qy) / ry, (px - qx) / rx);
  let span = Math.atan2((-py - qy) / ry, (-px - qx) / rx) - from;
  if (sweep && span < 0) span += 2 * Math.PI;
  if (!sweep && span > 0) span -= 2 * Math.PI;
  const pieces = Math.max(1, Math.ceil(Math.abs(span) / (Math.PI / 2) - 1e-9));
  const step = span / pieces, reach = (4 / 3) * Math.tan(step / 4), out = [];
  const at = (u, v) => [cos * rx * u - sin * ry * v + cx, sin * rx * u + cos * ry * v + cy];
  for (let n = 0; n < pieces; n += 1) {
    const [a, b] = [from + n * step, from + (n + 1) * step];
    const first = at(Math.cos(a) - reach * Math.sin(a), Math.sin(a) + reach * Math.cos(a));
    const second = at(Math.cos(b) + reach * Math.sin(b), Math.sin(b) - reach * Math.cos(b));
    out.push(["C", ...first, ...second, ...at(Math.cos(b), Math.sin(b))]);
  }
  return out;
};

const shapeOf = (element) => {
  const value = (name) => (element[name] ? element[name].baseVal.value : 0);
  const box = (x, y, w, h) => `M${x},${y}h${w}v${h}h${-w}Z`;
  switch (element.tagName) {
    case "path": return element.getAttribute("d") || "";
    case "rect": return value("width") && value("height") ? box(value("x"), value("y"), value("width"), value("height")) : "";
    case "line": return `M${value("x1")},${value("y1")}L${value("x2")},${value("y2")}`;
    case "circle": {
      const [x, y, r] = [value("cx"), value("cy"), value("r")];
      return `M${x + r},${y}A${r},${r} 0 1 1 ${x - r},${y}A${r},${r} 0 1 1 ${x + r},${y}Z`;
    }
    default: throw new Error(`the drawing has a ${element.tagName}`);
  }
};

const pdfFile = async (root, title) => {
  const box = root.getBoundingClientRect();
  const [width, height] = [box.width * 0.75, box.height * 0.75];
  const back = root.getScreenCTM().inverse();
  const states = new Map(), shadings = [], pictures = [], out = [`0.75 0 0 -0.75 0 ${plain(height)} cm`];

  const matrixOf = (element) => DOMMatrix.fromMatrix(back.multiply(element.getScreenCTM()));
  const pathOf = (element, matrix) => segmentsOf(shapeOf(element)).map(([kind, ...values]) => {
    const points = [];
    for (let n = 0; n < values.length; n += 2) {
      const point = new DOMPoint(values[n], values[n + 1]).matrixTransform(matrix);
      points.push(plain(point.x), plain(point.y));
    }
    return [...points, { M: "m", L: "l", C: "c", Z: "h" }[kind]].join(" ");
  }).join(" ");
  const colorOf = (text, letters) => {
    const found = /^rgba?\(([^)]+)\)/.exec(text);
    if (!found) return null;
    const [red, green, blue, alpha = 1] = found[1].split(/[\s,/]+/).map(Number);
    return { set: `${[red, green, blue].map((one) => plain(one / 255)).join(" ")} ${letters}`, alpha };
  };
  const stateOf = (fill, stroke) => {
    const key = `/ca ${plain(fill)} /CA ${plain(stroke)}`;
    if (!states.has(key)) states.set(key, `G${states.size}`);
    return `/${states.get(key)} gs`;
  };
  const clipsOf = (clips) => clips.map(([element, matrix]) => `${pathOf(element, matrix)} W n`);

  const draw = (element, opacity, clips) => {
    const style = getComputedStyle(element);
    if (style.display === "none" || style.visibility === "hidden") return;
    opacity *= Number(style.opacity);
    const named = /url\(["']?[^#]*#([^"')]+)/.exec(element.getAttribute("clip-path") || style.clipPath || "");
    const clip = named && root.querySelector(`[id="${named[1]}"]`);
    if (clip) clips = [...clips, ...[...clip.children].map((one) => [one, matrixOf(element).multiply(localOf(one))])];
    if (["defs", "clipPath", "style", "title"].includes(element.tagName) || opacity === 0) return;
    if (["svg", "g"].includes(element.tagName)) {
      for (const child of element.children) draw(child, opacity, clips);
    } else if (element.tagName === "text") write(element, opacity, clips);
    else paint(element, style, opacity, clips);
  };
  const localOf = (element) => {
    const own = element.transform && element.transform.baseVal.consolidate();
    return own ? DOMMatrix.fromMatrix(own.matrix) : new DOMMatrix();
  };

  // A gradient along a line, as a color bar has it.
  const shadingOf = (element, address, matrix) => {
    const gradient = root.querySelector(`[id="${(/#([^"')]+)/.exec(address) || [])[1]}"]`);
    if (!gradient || gradient.tagName !== "linearGradient") throw new Error(`the drawing has a fill of ${address}`);
    const box = element.getBBox(), end = (name, other) => Number(gradient.getAttribute(name) || other);
    const ends = [["x1", "y1", 0], ["x2", "y2", 1]].flatMap(([x, y, other]) => {
      const point = new DOMPoint(box.x + end(x, other) * box.width, box.y + end(y, 0) * box.height).matrixTransform(matrix);
      return [plain(point.x), plain(point.y)];
    });
    const stops = [...gradient.querySelectorAll("stop")].map((one) => [
      Math.max(0, Math.min(1, parseFloat(one.getAttribute("offset")) / (one.getAttribute("offset").endsWith("%") ? 100 : 1))),
      colorOf(getComputedStyle(one).stopColor, "").set.trim(),
    ]);
    const steps = stops.slice(1).map(([, color], n) => `<< /FunctionType 2 /Domain [0 1] /N 1 /C0 [${stops[n][1]}] /C1 [${color}] >>`);
    const between = stops.slice(1, -1).map(([at]) => plain(at)).join(" ");
    shadings.push(`<< /ShadingType 2 /ColorSpace /DeviceRGB /Coords [${ends.join(" ")}] /Extend [true true] /Function << /FunctionType 3 ` +
      `/Domain [0 1] /Functions [${steps.join(" ")}] /Bounds [${between}] /Encode [${steps.map(() => "0 1").join(" ")}] >> >>`);
    return `/F${shadings.length - 1} sh`;
  };

  const paint = (element, style, opacity, clips) => {
    if (style.fill.startsWith("url(")) {
      const matrix = matrixOf(element), path = pathOf(element, matrix);
      if (path) out.push("q", ...clipsOf(clips), stateOf(opacity * Number(style.fillOpacity), 1), `${path} W n`, shadingOf(element, style.fill, matrix), "Q");
    }
    const fill = colorOf(style.fill, "rg"), stroke = colorOf(style.stroke, "RG");
    const alphas = [fill ? fill.alpha * Number(style.fillOpacity) : 0, stroke ? stroke.alpha * Number(style.strokeOpacity) : 0];
    const wide = parseFloat(style.strokeWidth) || 0;
    const filled = alphas[0] > 0, drawn = alphas[1] > 0 && wide > 0;
    const matrix = matrixOf(element), path = filled || drawn ? pathOf(element, matrix) : "";
    if (!path) return;
    const scale = Math.sqrt(Math.abs(matrix.a * matrix.d - matrix.b * matrix.c));
    out.push("q", ...clipsOf(clips), stateOf(alphas[0] * opacity, alphas[1] * opacity));
    if (filled) out.push(fill.set);
    if (drawn) {
      const dashes = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[\s,]+/).map(parseFloat);
      out.push(stroke.set, `${plain(wide * scale)} w [${dashes.map((one) => plain(one * scale)).join(" ")}] 0 d`);
    }
    out.push(`${path} ${filled && drawn ? "B" : filled ? "f" : "S"}`, "Q");
  };

  const write = (element, opacity, clips) => {
    const matrix = matrixOf(element), signs = element.getNumberOfChars();
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    let at = 0;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const style = getComputedStyle(node.parentElement), color = colorOf(style.fill, "rg");
      const runs = [];
      for (const sign of node.data) {
        const [font, code, wide] = signOf(sign), last = runs[runs.length - 1];
        const start = at;
        at += sign.length;
        if (last && last.font === font) {
          last.codes.push(code); last.wide += wide; last.text += sign; last.end = at;
        } else runs.push({ font, codes: [code], wide, text: sign, start, end: at });
      }
      if (at > signs) throw new Error("a text has signs that are not shown");
      for (const run of runs) {
        if (color && run.text.trim()) writeRun(element, run, matrix, style, color, color.alpha * Number(style.fillOpacity) * opacity, clips);
      }
    }
  };
  const writeRun = (element, run, matrix, style, color, alpha, clips) => {
    const start = element.getStartPositionOfChar(run.start), end = element.getEndPositionOfChar(run.end - 1);
    const long = Math.hypot(end.x - start.x, end.y - start.y), size = parseFloat(style.fontSize);
    const place = matrix.multiply(new DOMMatrix([1, 0, 0, -1, start.x, start.y]));
    const values = [place.a, place.b, place.c, place.d, place.e, place.f].map(plain).join(" ");
    out.push("q", ...clipsOf(clips), stateOf(alpha, 1));
    if (run.font === "picture") {
      const name = pictureOf(run.text, style, color, long, size);
      const drawn = place.multiply(new DOMMatrix([long, 0, 0, 1.5 * size, 0, -0.5 * size]));
      out.push(`${[drawn.a, drawn.b, drawn.c, drawn.d, drawn.e, drawn.f].map(plain).join(" ")} cm /${name} Do`);
    } else {
      const bold = run.font === "helvetica" && Number(style.fontWeight) >= 600;
      const stretch = (long / ((run.wide * size) / 1000)) * 100;
      const text = run.codes.map((code) => (code < 32 || code > 126 || "()\\".includes(String.fromCharCode(code))
        ? `\\${code.toString(8).padStart(3, "0")}` : String.fromCharCode(code))).join("");
      const font = run.font === "symbol" ? "S" : bold ? "B" : "H";
      out.push(`BT ${color.set} /${font} ${plain(size)} Tf ${plain(stretch)} Tz ${values} Tm (${text}) Tj ET`);
    }
    out.push("Q");
  };
  // Signs that Helvetica has not are drawn as a picture of them, so that none is lost.
  const pictureOf = (text, style, color, long, size) => {
    const canvas = document.createElement("canvas"), fine = 6;
    [canvas.width, canvas.height] = [Math.max(1, Math.ceil(long * fine)), Math.ceil(1.5 * size * fine)];
    const pen = canvas.getContext("2d");
    pen.font = `${style.fontWeight} ${size * fine}px ${style.fontFamily}`;
    pen.fillText(text, 0, size * fine, canvas.width);
    pictures.push({ color, width: canvas.width, height: canvas.height,
      alpha: pen.getImageData(0, 0, canvas.width, canvas.height).data.filter((_, n) => n % 4 === 3) });
    return `P${pictures.length - 1}`;
  };

  draw(root, 1, []);

  const pack = async (bytes) => new Uint8Array(
    await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer());
  const objects = [];
  const add = (text, stream) => objects.push([text, stream]);
  const inUtf16 = [...`\ufeff${title}`].map((sign) => sign.split("").map((one) => one.charCodeAt(0).toString(16).padStart(4, "0")).join("")).join("");
  const first = 8;  // of the pictures: two objects each
  const named = (prefix, count, at) => Array.from({ length: count }, (_, n) => `/${prefix}${n} ${at(n)} 0 R`).join(" ");
  const shaded = shadings.map((one, n) => `/F${n} ${one}`).join(" ");
  const graphics = [...states].map(([key, name]) => `/${name} << ${key} >>`).join(" ");
  const font = (name, encoding) => `<< /Type /Font /Subtype /Type1 /BaseFont /${name}${encoding ? " /Encoding /WinAnsiEncoding" : ""} >>`;
  add("<< /Type /Catalog /Pages 2 0 R >>");
  add("<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
  add(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${plain(width)} ${plain(height)}] /Contents 4 0 R /Resources << /Font << /H 5 0 R /B 6 0 R /S 7 0 R >> ` +
    `/ExtGState << ${graphics} >> /Shading << ${shaded} >> /XObject << ${named("P", pictures.length, (n) => first + 2 * n)} >> >> >>`);
  const content = await pack(new TextEncoder().encode(out.join("\n")));
  add(`<< /Length ${content.length} /Filter /FlateDecode >>`, content);
  add(font("Helvetica", true));
  add(font("Helvetica-Bold", true));
  add(font("Symbol", false));
  for (const [n, one] of pictures.entries()) {
    const head = `/Type /XObject /Subtype /Image /Width ${one.width} /Height ${one.height} /BitsPerComponent 8 /Filter /FlateDecode`;
    const rgb = one.color.set.split(" ").slice(0, 3).map((value) => Math.round(255 * Number(value)));
    const flat = new Uint8Array(3 * one.width * one.height).map((_, at) => rgb[at % 3]);
    const [picture, mask] = [await pack(flat), await pack(new Uint8Array(one.alpha))];
    add(`<< ${head} /ColorSpace /DeviceRGB /SMask ${first + 2 * n + 1} 0 R /Length ${picture.length} >>`, picture);
    add(`<< ${head} /ColorSpace /DeviceGray /Length ${mask.length} >>`, mask);
  }
  add(`<< /Title <${inUtf16}> >>`);

  const chunks = [], places = [];
  let written = 0;
  const put = (data) => {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    chunks.push(bytes);
    written += bytes.length;
  };
  put("%PDF-1.4\n");
  objects.forEach(([text, stream], n) => {
    places.push(written);
    put(`${n + 1} 0 obj\n${text}\n`);
    if (stream) { put("stream\n"); put(stream); put("\nendstream\n"); }
    put("endobj\n");
  });
  const table = written;
  put(`xref\n0 ${objects.length + 1}\n0000000000 65535 f \n`);
  put(places.map((place) => `${String(place).padStart(10, "0")} 00000 n \n`).join(""));
  put(`trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info ${objects.length} 0 R >>\nstartxref\n${table}\n%%EOF\n`);
  return new Blob(chunks, { type: "application/pdf" });
};
