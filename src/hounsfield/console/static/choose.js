// Check boxes of a list: all at once, a range by Shift, and how many are chosen.
function watch(list) {
  const boxes = () => [...list.querySelectorAll('input[name="instance"]')]
  const all = list.querySelector("[data-choose-all]")
  const told = list.querySelector("[data-chosen]")
  let last = null
  const count = () => {
    const ticked = boxes().filter((box) => box.checked).length
    all.checked = ticked > 0 && ticked === boxes().length
    all.indeterminate = ticked > 0 && !all.checked
    told.textContent = ticked ? `${ticked} chosen` : ""
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
  count()
}

const watchAll = () => { for (const list of document.querySelectorAll("[data-choose]:not([data-watched])")) { list.dataset.watched = ""; watch(list) } }
watchAll()
document.addEventListener("htmx:afterSettle", watchAll)
