// Signs in by the token of the link, which is behind the # so that no server or proxy sees it before this does.
const form = document.querySelector("[data-link]")

function signIn() {
  if (location.hash.length < 2) return
  const [token, next = ""] = location.hash.slice(1).split("&next=")
  form.elements.token.value = token
  form.elements.next.value = decodeURIComponent(next)
  history.replaceState(null, "", location.pathname)
  form.submit()
}

signIn()
// Where the page is open already, such as after a link that was used up, the next one loads nothing.
window.addEventListener("hashchange", signIn)
