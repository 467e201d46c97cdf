// Sends a request of htmx again, with what its form holds now and the button that sent it.
export function sendAgain({ elt, requestConfig, pathInfo }) {
  if (!elt.isConnected) return
  const { verb, triggeringEvent } = requestConfig
  const button = triggeringEvent?.submitter
  const values = button?.name ? { [button.name]: button.value } : {}
  htmx.ajax(verb, pathInfo.requestPath, { source: elt, event: triggeringEvent, values })
}
