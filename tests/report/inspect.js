// What a reader of the page gets in the view that is shown. An expression: its value is an object.
(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a),
    g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a),
    a: 1,
  });
  const luminance = ({ r, g, b }) => {
    const part = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const isShown = (element) => element.checkVisibility({ contentVisibilityAuto: false, visibilityProperty: true });
  const say = (element) => (element.id ? `#${element.id}` : `${element.tagName} ${element.className?.baseVal ?? element.className}`);

  const faint = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const isWords = node.data.trim() && !["STYLE", "title", "desc"].includes(element.tagName);
    if (!isWords || element.closest(".hidden, .skip") || !isShown(element)) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const colour = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const found = ratio(over(colour, ground(element)), ground(element));
    if (found < (isLarge ? 3 : 4.5)) faint.push(`${found.toFixed(2)} ${say(element)}: ${node.data.trim().slice(0, 40)}`);
  }
  // Signs that mean something without a word: keys of legends, shapes of severities.
  for (const sign of document.querySelectorAll(".key:not(.band):not(.ring), .shape")) {
    if (!isShown(sign)) continue;
    const style = getComputedStyle(sign);
    const colour = parse(sign.tagName === "svg" ? style.fill : style.backgroundColor);
    const found = ratio(colour, ground(sign.parentElement));
    if (found < 3) faint.push(`${found.toFixed(2)} sign ${say(sign)}`);
  }

  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all("[id]").map((e) => e.id);
  if (new Set(ids).size !== ids.length) faults.push("an id is there twice");
  for (const name of ["aria-labelledby", "aria-describedby"]) {
    for (const element of all(`[${name}]`)) {
      for (const id of element.getAttribute(name).split(/\s+/)) {
        if (!document.getElementById(id)?.textContent.trim()) faults.push(`${say(element)}: ${name} ${id} says nothing`);
      }
    }
  }
  const levels = all("h1, h2, h3, h4, h5, h6").map((h) => Number(h.tagName[1]));
  levels.forEach((level, n) => {
    if (level > (levels[n - 1] ?? 0) + 1) faults.push(`heading ${n + 1} skips from ${levels[n - 1]} to ${level}`);
  });
  if (levels.filter((level) => level === 1).length !== 1) faults.push("there is not one h1");
  for (const landmark of ["header", "nav", "main", "footer"]) {
    if (!document.querySelector(landmark)) faults.push(`no ${landmark}`);
  }
  for (const table of all("table")) {
    if (!table.caption?.textContent.trim()) faults.push(`a table without caption: ${table.textContent.slice(0, 60)}`);
    for (const cell of table.querySelectorAll("th")) {
      if (!["col", "row"].includes(cell.scope)) faults.push(`a heading without scope: ${cell.textContent}`);
    }
  }
  for (const chart of all("svg.chart")) {
    if (chart.getAttribute("role") !== "img" || !chart.querySelector("title") || !chart.querySelector("desc")) {
      faults.push(`${say(chart)} says nothing to those who do not see it`);
    }
    const figure = chart.closest("figure");
    if (chart.querySelectorAll("rect, polyline").length && !figure.querySelector("table")) faults.push("a chart without a table");
  }
  for (const link of all("a[href]")) {
    const target = link.getAttribute("href");
    if (!target.startsWith("#") || !document.getElementById(target.slice(1))) faults.push(`a link to ${target}`);
  }
  for (const element of all("script, iframe, object, embed, img, link, form, audio, video, base, [style], [src], [onclick], [onload], [onerror]")) {
    faults.push(`${element.tagName} has no place here`);
  }
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`the page is ${wide} pixels too wide`);
  for (const box of all("main *")) {
    const style = getComputedStyle(box);
    const scrolls = ["auto", "scroll"].includes(style.overflowX) && box.scrollWidth > box.clientWidth + 1;
    if (scrolls && isShown(box) && box.tabIndex < 0) faults.push(`${say(box)} scrolls and takes no focus`);
  }
  const styled = getComputedStyle(document.body).margin === "0px";
  if (!styled) faults.push("the style sheet was refused");

  return {
    title: document.title,
    height: document.documentElement.scrollHeight,
    width: document.documentElement.scrollWidth,
    texts,
    faint: faint.slice(0, 40),
    faults: faults.slice(0, 40),
    ground: getComputedStyle(document.body).backgroundColor,
    charts: all("svg.chart").filter((chart) => chart.querySelector("rect, polyline") && chart.querySelector("text")).length,
    shown: all("article details .command").filter(isShown).length,
    articles: all("article").length,
  };
})()
