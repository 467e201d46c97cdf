// Saves a new access key as a credentials file; the secret goes nowhere else.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-credentials]")
  if (!button) return
  const text = (id) => document.getElementById(id).textContent
  const content = `[${button.dataset.credentials}]\naws_access_key_id = ${text(button.dataset.key)}\naws_secret_access_key = ${text(button.dataset.secret)}\n`
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([content], { type: "text/plain" }))
  link.download = `${button.dataset.credentials}.credentials`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
})
