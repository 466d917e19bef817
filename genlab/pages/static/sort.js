// Tables sort by the column whose head is pressed: what has no value stays at the end.
function compared(kind, sign) {
  return ([a], [b]) => {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (kind === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };
}

function sortBy(table, column) {
  const head = table.tHead.rows[0].cells[column];
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const cell of table.tHead.rows[0].cells) {
    if (cell.hasAttribute("aria-sort")) cell.setAttribute("aria-sort", "none");
  }
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [row.cells[column].dataset.value, row]);
  rows.sort(compared(head.querySelector("button").dataset.kind, ascending ? 1 : -1));
  body.append(...rows.map(([, row]) => row));
}

document.querySelectorAll("table.sortable").forEach((table) => {
  table.tHead.querySelectorAll("button.sort").forEach((button) => {
    button.addEventListener("click", () => sortBy(table, button.closest("th").cellIndex));
  });
});
