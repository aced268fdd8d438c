"use strict";
// The page's own script. What comes from models and pools is only ever set as text; nothing is fetched.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const narrow = () => window.innerWidth < 600;

  // Colours: "@name" in a figure is the style sheet's variable of that name, in light and in dark.
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  function themed(value) {
    if (typeof value === "string" && value.startsWith("@")) {
      if (value === "@share") return [[0, colour("faint")], [0.25, colour("neutral")], [1, colour("blue")]];
      return value.endsWith("-flow") ? colour(value.slice(1, -5)) + "66" : colour(value.slice(1));
    }
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item)]));
    }
    return value;
  }

  function shortened(text, limit) {
    const plain = text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
    const cut = plain.length <= limit ? plain : plain.slice(0, limit - 1) + "…";
    return cut.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function axis(grid, own = {}) {
    const title = { ...own.title, font: { size: 12 }, standoff: 8 };
    return { ...grid, ...own, title, fixedrange: true };
  }

  function layoutOf(figure) {
    const grid = { gridcolor: colour("neutral"), zerolinecolor: colour("faint"), linecolor: colour("faint"), automargin: true };
    const layout = themed(figure.layout);
    const axes = {
      xaxis: axis(grid, layout.xaxis),
      yaxis: axis(grid, layout.yaxis),
    };
    if (figure.labels) {
      const limit = narrow() ? 20 : 30;
      axes.yaxis.tickvals = figure.labels.map((_, i) => i);
      axes.yaxis.ticktext = figure.labels.map((name) => shortened(name, limit));
      axes.yaxis.tickfont = { size: 11 };
    }
    return {
      ...layout, ...axes,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("ink"), size: 13, family: getComputedStyle(document.body).fontFamily },
      margin: { l: 48, r: 12, t: figure.data.some((trace) => trace.name) ? 28 : 8, b: 44 },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12 }, ...layout.legend },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("faint"), font: { color: colour("ink") } },
      dragmode: false, autosize: true,
    };
  }

  function draw(id) {
    const figure = data.figures[id];
    const traces = themed(figure.data);
    const slider = document.getElementById(id + "-round");
    if (slider) traces[0].marker.color = figure.rounds[slider.value].colours;
    return Plotly.react(id, traces, layoutOf(figure), { displayModeBar: false, responsive: true, scrollZoom: false });
  }

  async function drawAll() {
    for (const id of Object.keys(data.figures)) {
      await draw(id);
      await new Promise((resolve) => setTimeout(resolve));  // let the page answer between two figures
    }
    document.documentElement.dataset.drawn = "yes";
  }

  function listenToSliders() {
    for (const slider of document.querySelectorAll("input[type=range][data-figure]")) {
      slider.addEventListener("input", () => {
        const id = slider.dataset.figure;
        const now = data.figures[id].rounds[slider.value];
        document.getElementById(id + "-said").textContent = now.title;
        slider.setAttribute("aria-valuetext", now.title);
        if (window.Plotly) Plotly.restyle(id, { "marker.color": [now.colours] }, [0]);
      });
    }
  }

  // Plotly lies in the page, compressed. The policy of the page lets it run by its hash.
  async function loadPlotly() {
    const packed = document.getElementById("plotly");
    if (!packed) return false;
    if (!("DecompressionStream" in window)) throw new Error("this browser is too old to unpack them");
    const bytes = Uint8Array.from(atob(packed.textContent), (char) => char.charCodeAt(0));
    packed.remove();
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    return "Plotly" in window;
  }

  // Pairs
  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function firstDifference(a, b) {
    let i = 0;
    while (i < a.length && i < b.length && a[i] === b[i]) i += 1;
    while (i > 0 && /[\w.]/.test(a[i - 1])) i -= 1;  // whole words and numbers
    return i;
  }

  function side(kind, title, text, from) {
    const box = element("div", "side " + kind);
    const body = element("pre");
    body.tabIndex = 0;
    body.setAttribute("aria-label", title);
    const rest = text.slice(from);
    const end = Math.max(rest.search(/\n|$/), 0) || 1;
    body.append(element("span", "same", text.slice(0, from)), element("mark", "", rest.slice(0, end) || "∅"), rest.slice(end));
    box.append(element("h4", "", title), body);
    return box;
  }

  function card(pair) {
    const problem = data.problems[pair.problem];
    const made = element("article", "pair");
    made.append(element("p", "meta", ["round " + pair.round, problem.id, ...problem.tags].join(" · ")));
    made.append(element("p", "question", problem.question));
    made.append(element("p", "meta", "gold answer: " + problem.answer));
    const sides = element("div", "sides");
    const from = firstDifference(pair.chosen, pair.rejected);
    sides.append(side("chosen", "chosen (right)", pair.chosen, from), side("rejected", "rejected (wrong)", pair.rejected, from));
    made.append(sides);
    return made;
  }

  function showPairs() {
    const list = document.getElementById("pairs-list");
    if (!list) return;
    const [search, round, cluster, more, count] =
      ["search", "round", "cluster", "more", "count"].map((name) => document.getElementById("pairs-" + name));
    const names = [...new Set(Object.values(data.problems).map((problem) => problem.cluster))].sort();
    for (const name of names) cluster.append(new Option(name.length > 60 ? name.slice(0, 59) + "…" : name, name));
    const texts = data.pairs.map((pair) => {
      const problem = data.problems[pair.problem];
      return [problem.id, problem.question, problem.answer, ...problem.tags, pair.chosen, pair.rejected].join("\n").toLowerCase();
    });
    const PAGE = 6;
    let found = [], shown = 0;
    const extend = () => {
      for (const pair of found.slice(shown, shown + PAGE)) list.append(card(pair));
      shown = Math.min(shown + PAGE, found.length);
      more.hidden = shown >= found.length;
      count.textContent = `${found.length} of ${data.pairs.length} pairs, ${shown} shown`;
    };
    const find = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      found = data.pairs.filter((pair, i) =>
        (!round.value || String(pair.round) === round.value) &&
        (!cluster.value || data.problems[pair.problem].cluster === cluster.value) &&
        words.every((word) => texts[i].includes(word)));
      shown = 0;
      list.replaceChildren();
      extend();
    };
    let waiting = 0;
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(find, 120); });
    round.addEventListener("change", find);
    cluster.addEventListener("change", find);
    more.addEventListener("click", extend);
    document.getElementById("pairs-finder").addEventListener("submit", (event) => { event.preventDefault(); find(); });
    find();
  }

  showPairs();
  listenToSliders();
  loadPlotly().then((loaded) => {
    if (!loaded) {  // a page without charts
      document.documentElement.dataset.drawn = "yes";
      return undefined;
    }
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
    let wasNarrow = narrow();
    window.addEventListener("resize", () => { if (narrow() !== wasNarrow) { wasNarrow = narrow(); drawAll(); } });
    return drawAll();
  }).catch((error) => {
    const said = document.getElementById("no-charts");
    said.textContent = "The charts cannot be shown: " + error.message + ". All numbers are in the tables.";
    said.hidden = false;
    document.documentElement.dataset.drawn = "failed";
  });
})();
