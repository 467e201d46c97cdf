// The token that a request must bring which changes something; a page that outlives its session gets a new one.
const meta = document.querySelector('meta[name="csrf-token"]')

export const csrfToken = () => meta?.content ?? ""

export function setCsrfToken(token) {
  if (meta) meta.content = token
  for (const input of document.querySelectorAll('input[name="csrf_token"]')) input.value = token
}
