// Saves a new access key as a credentials file; the secret goes nowhere else.
import { saveFile } from "./save_file.js"

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-credentials]")
  if (!button) return
  const text = (id) => document.getElementById(id).textContent
  const content = `[${button.dataset.credentials}]\naws_access_key_id = ${text(button.dataset.key)}\naws_secret_access_key = ${text(button.dataset.secret)}\n`
  saveFile(new Blob([content], { type: "text/plain" }), `${button.dataset.credentials}.credentials`)
})
