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
