// On the page to sign in: tabs that are still open hear that there is no session, and this one goes on when there is.
const channel = new BroadcastChannel("hounsfield-session")
channel.addEventListener("message", ({ data }) => {
  if (data === "signed in" && !document.querySelector("input[type=password]").value) location.assign(location.href)
})
channel.postMessage("no session")
