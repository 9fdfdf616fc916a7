"use strict";
// Sorts and filters the table of trials, which is readable without this script.
(() => {
  const table = document.getElementById("all-trials");
  const body = table.tBodies[0];
  const form = document.querySelector(".filter");
  const output = form.querySelector("output");
  const rows = Array.from(body.rows, (row, place) => {
    const cells = Array.from(row.cells, (cell) => cell.textContent);
    return { row, cells, place, text: cells.join(" ").toLowerCase() };
  });

  const sortBy = (column, sign) => {
    const number = (text) => (text === "-" ? NaN : Number(text));
    const numeric = rows.every(({ cells }) => cells[column] === "-" || !Number.isNaN(number(cells[column])));
    rows.sort((a, b) => {
      const [x, y] = [a.cells[column], b.cells[column]];
      // Missing values come last in both directions.
      if (x === "-" || y === "-") return (x === "-") - (y === "-") || a.place - b.place;
      const order = numeric ? number(x) - number(y) : x.localeCompare(y);
      return sign * order || a.place - b.place;
    });
    body.append(...rows.map(({ row }) => row));
  };

  const headers = Array.from(table.tHead.rows[0].cells);
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const up = header.getAttribute("aria-sort") !== "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", up ? "ascending" : "descending");
      sortBy(column, up ? 1 : -1);
    });
  });

  const selects = Array.from(form.querySelectorAll("select"));
  const filter = () => {
    const words = form.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, cells, text } of rows) {
      const fits =
        words.every((word) => text.includes(word)) &&
        selects.every(({ value, dataset }) => !value || cells[dataset.column] === value);
      row.hidden = !fits;
      shown += fits;
    }
    output.textContent = `${shown} of ${rows.length} rows`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();

// Says what a point or a cell of a plot shows: under the pointer, at a touch, or by arrow keys.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  let lit = null;

  const hide = () => {
    tip.hidden = true;
    if (lit) lit.classList.remove("on");
    lit = null;
  };
  const show = (spot) => {
    hide();
    const { x, y } = spot.at();
    tip.textContent = spot.text;
    tip.hidden = false;
    const width = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(x + 12, width - tip.offsetWidth - 8));
    const above = y - tip.offsetHeight - 12;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(above < 0 ? y + 14 : above) + scrollY}px`;
    if (spot.mark) (lit = spot.mark).classList.add("on");
  };

  // The script shows the titles itself; without it the browser does.
  const spotsOfLines = (svg) =>
    Array.from(svg.querySelectorAll("use > title"), (title) => {
      const mark = title.parentNode;
      title.remove();
      const at = () => {
        const box = mark.getBoundingClientRect();
        return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      };
      return { mark, at, text: title.textContent };
    });
  const spotsOfCells = (rectangle) => {
    const [rows, columns, values] = ["rows", "columns", "values"].map((key) => JSON.parse(rectangle.dataset[key]));
    return rows.flatMap((row, i) =>
      columns.map((column, j) => {
        const at = () => {
          const box = rectangle.getBoundingClientRect();
          return { x: box.x + (box.width * (j + 0.5)) / columns.length, y: box.y + (box.height * (i + 0.5)) / rows.length };
        };
        return { at, text: `${row}, ${column}: ${values[i][j]}` };
      }),
    );
  };

  const setUp = (svg) => {
    const rectangle = svg.querySelector("rect[data-rows]");
    const spots = rectangle ? spotsOfCells(rectangle) : spotsOfLines(svg);
    if (!spots.length) return;
    let chosen = -1;
    const choose = ({ clientX, clientY }) => {
      let best = Infinity;
      chosen = -1;
      if (rectangle) {
        const box = rectangle.getBoundingClientRect();
        const column = Math.floor(((clientX - box.x) / box.width) * JSON.parse(rectangle.dataset.columns).length);
        const count = JSON.parse(rectangle.dataset.rows).length;
        const row = Math.floor(((clientY - box.y) / box.height) * count);
        const wide = spots.length / count;
        if (row >= 0 && row < count && column >= 0 && column < wide) chosen = row * wide + column;
      } else {
        spots.forEach((spot, number) => {
          const { x, y } = spot.at();
          const far = Math.hypot(x - clientX, y - clientY);
          if (far < Math.min(best, 30)) [best, chosen] = [far, number];
        });
      }
      if (chosen < 0) hide();
      else show(spots[chosen]);
    };
    svg.addEventListener("pointermove", choose);
    svg.addEventListener("pointerdown", choose);
    svg.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") hide();
    });
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      chosen = chosen < 0 && step < 0 ? spots.length - 1 : (chosen + step + spots.length) % spots.length;
      show(spots[chosen]);
    });
  };
  document.querySelectorAll("figure svg").forEach(setUp);
  addEventListener("resize", hide);
})();

// Shows the rows of a table of verdicts as blocks of named values where the table is too wide.
(() => {
  const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
  const tables = document.querySelectorAll(".levels, .carried");
  for (const table of tables) {
    const names = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) {
      Array.from(row.cells).forEach((cell, column) => (cell.dataset.label = names[column]));
    }
    // A table that is laid out as blocks is still read aloud as a table.
    for (const part of [table, ...table.querySelectorAll("thead, tbody, tr, td")]) {
      part.setAttribute("role", ROLES[part.tagName]);
    }
    for (const head of table.querySelectorAll("th")) {
      head.setAttribute("role", head.scope === "row" ? "rowheader" : "columnheader");
    }
  }
  const fit = () => {
    for (const table of tables) {
      table.classList.remove("blocks");
      table.classList.toggle("blocks", table.scrollWidth > table.parentNode.clientWidth);
    }
  };
  addEventListener("resize", fit);
  fit();
})();
