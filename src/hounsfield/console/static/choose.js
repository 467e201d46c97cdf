// Check boxes of a list: all at once, a range by Shift, and how many are chosen, by them and by the numbers that are typed.
function readRanges(text) {
  const found = [...text.matchAll(/(\d{1,12})(?:\s*-\s*(\d{1,12}))?/g)]
  return found.map(([, from, to]) => [Number(from), Number(to ?? from)].sort((one, other) => one - other))
}

function watch(list) {
  const boxes = () => [...list.querySelectorAll('input[name="instance"]')]
  const all = list.querySelector("[data-choose-all]")
  const told = list.querySelector("[data-chosen]")
  const typed = list.querySelector("#range")
  const notListed = list.dataset.notListed.split(" ").filter(Boolean)
  let last = null
  const count = () => {
    const ticked = boxes().filter((box) => box.checked).length
    all.checked = ticked > 0 && ticked === boxes().length
    all.indeterminate = ticked > 0 && !all.checked
    const ranges = readRanges(typed.value)
    const isTyped = (number) => number !== "" && ranges.some(([from, to]) => from <= Number(number) && Number(number) <= to)
    const chosen = boxes().filter((box) => box.checked || isTyped(box.dataset.number)).length + notListed.filter(isTyped).length
    const allThere = boxes().length + notListed.length
    told.textContent = chosen || typed.value.trim() ? `${chosen} chosen of ${allThere}` : ""
  }
  list.addEventListener("click", (event) => {
    const box = event.target
    if (box === all) for (const one of boxes()) one.checked = all.checked
    else if (box.name !== "instance") return
    else if (event.shiftKey && last) {
      const every = boxes()
      const [from, to] = [every.indexOf(last), every.indexOf(box)].sort((one, other) => one - other)
      for (const one of every.slice(from, to + 1)) one.checked = box.checked
    }
    last = box === all ? null : box
    count()
  })
  typed.addEventListener("input", count)
  count()
}

const watchAll = () => { for (const list of document.querySelectorAll("[data-choose]:not([data-watched])")) { list.dataset.watched = ""; watch(list) } }
watchAll()
document.addEventListener("htmx:afterSettle", watchAll)
