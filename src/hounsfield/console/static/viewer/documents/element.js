// Elements of a page from text: whatever a file says goes in as text.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name)
  const { dataset = {}, attributes = {}, ...rest } = properties
  Object.assign(made, rest)
  Object.assign(made.dataset, dataset)
  for (const [key, content] of Object.entries(attributes)) made.setAttribute(key, content)
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""))
  return made
}

export const button = (words, onClick, properties = {}) => {
  const made = element("button", { type: "button", className: "tool", ...properties }, words)
  made.addEventListener("click", onClick)
  return made
}

// A list of names and values; what has no value is left out.
export function definitions(rows) {
  const list = element("dl", { className: "facts" })
  for (const [name, content] of rows) {
    if (content === null || content === undefined || content === "") continue
    list.append(element("div", {}, element("dt", {}, name), element("dd", {}, content)))
  }
  return list
}

// A table with a heading for each column, and for each row in its first cell; it scrolls in a region of its own.
export function table(caption, columns, rows) {
  const body = rows.map(([first, ...others]) => element("tr", {},
    element("th", { scope: "row" }, first),
    ...others.map((cell) => element("td", {}, cell))))
  return element("div", { className: "table", tabIndex: 0, attributes: { role: "region", "aria-label": caption } },
    element("table", {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...columns.map((column) => element("th", { scope: "col" }, column)))),
      element("tbody", {}, ...body)))
}
