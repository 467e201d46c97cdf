// Configures OHIF for the console of Hounsfield, before OHIF's own scripts run.
//
//   <script src="…/start.js" data-root="/console/api/datastore/…" data-page="/console/datastores/…/ohif" …>
//     ─▶ window.config: one data source, DICOMweb as who is signed in
//     ─▶ words for what OHIF has none for: session ended, not allowed, server gone, nothing is stored
//
// There is no token for requests that change something, so nothing is stored; that is said where somebody tries to.
(() => {
  const { assets, root, page, back, name } = document.currentScript.dataset
  const BULK_DATA = "bulk-data:"
  const READS = new Set(["GET", "HEAD"])
  const api = new URL(root + "/", location.href).href

  window.PUBLIC_URL = assets
  window.browserImportFunction = async (module) => {
    if (!module.includes("dicom-microscopy-viewer")) return import(module)
    tell("OHIF shows no slides here. The viewer of the console does.")
    throw new Error("OHIF was installed without dicom-microscopy-viewer")
  }
  window.config = {
    name: "hounsfield",
    routerBasename: page,
    extensions: [],
    modes: [],
    // The tour would lie over the first image.
    customizationService: { global: { "ohif.tours": { $set: [] } } },
    showStudyList: true,
    maxNumberOfWebWorkers: 3,
    showWarningMessageForCrossOrigin: false,
    showCPUFallbackMessage: true,
    showLoadingIndicator: true,
    strictZSpacingForVolumeViewport: true,
    groupEnabledModesFirst: true,
    maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
    showErrorDetails: "always",
    whiteLabeling: { createLogoComponentFn: (React) => React.createElement(Logo, { React }) },
    defaultDataSourceName: "hounsfield",
    dataSources: [
      {
        namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
        sourceName: "hounsfield",
        configuration: {
          friendlyName: name,
          name: "hounsfield",
          qidoRoot: root,
          wadoRoot: root,
          wadoUriRoot: root,
          qidoSupportsIncludeField: true,
          supportsFuzzyMatching: false,
          supportsWildcard: true,
          staticWado: false,
          imageRendering: "wadors",
          thumbnailRendering: "wadors",
          enableStudyLazyLoad: true,
          singlepart: "bulkdata,video",
          bulkDataURI: { enabled: true, transform: markBulkData, startsWith: BULK_DATA, prefixWith: root },
          omitQuotationForMultipartRequest: true,
        },
      },
    ],
    httpErrorHandler: () => {},
  }

  // Metadata name bulk data by the address of the API; the browser has no signature for it, but a session. OHIF drops what
  // `transform` gives unless a prefix of it is replaced.
  function markBulkData(address) {
    const { pathname, search } = new URL(address, location.href)
    const at = pathname.indexOf("/studies/")
    return at < 0 ? address : BULK_DATA + pathname.slice(at) + search
  }

  function Logo({ React }) {
    const study = new URLSearchParams(location.search).get("StudyInstanceUIDs")?.split(",")[0]
    const href = study ? `${back}/${encodeURIComponent(study)}` : back
    return React.createElement("a", { href, className: "hounsfield-back" }, study ? "Study in the console" : "Console")
  }

  const { open } = XMLHttpRequest.prototype
  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    const url = new URL(address, location.href).href
    if (url.startsWith(api)) {
      if (!READS.has(method.toUpperCase())) {
        tell("OHIF only reads here. What you draw can be downloaded, and uploaded to the data store as a file.")
        throw new Error("nothing is stored from OHIF")
      }
      this.addEventListener("load", () => answered(this.status))
      this.addEventListener("error", () => tell("The server cannot be reached. What is missing comes when you open it again."))
    }
    return open.call(this, method, address, ...rest)
  }

  const fetched = window.fetch
  window.fetch = async (...request) => {
    const answer = await fetched.apply(window, request)
    if (answer.url.startsWith(api)) answered(answer.status)
    return answer
  }

  function answered(status) {
    if (status === 401) sessionEnded()
    else if (status === 403) tell("You may not see all of what was asked for. What is missing here is not missing in the study.")
    else if (status >= 500) tell("The server failed to answer. What is missing comes when you open it again.")
  }

  // The policy of the page lets no plug-in show anything; OHIF would say that the browser has none.
  document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
    if (effectiveDirective === "object-src") tell("OHIF shows no PDF here. The viewer of the console does.")
  })

  // Said once, until it is closed, however many requests fail.
  let shown = null
  function tell(words) {
    if (shown?.open) return
    shown = box(words, "Close", () => shown.close())
    shown.show()
  }

  let ended = null
  function sessionEnded() {
    if (ended) return
    const words = "Your session has ended. Sign in again to go on."
    ended = box(words, "Sign in", () => {
      location.assign(`/console/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`)
    })
    ended.addEventListener("cancel", (event) => event.preventDefault())
    ended.classList.add("hounsfield-ended")
    ended.showModal()
  }

  function box(words, action, done) {
    const dialog = document.createElement("dialog")
    dialog.className = "hounsfield"
    const text = document.createElement("p")
    text.setAttribute("role", "alert")
    text.textContent = words
    const button = document.createElement("button")
    button.type = "button"
    button.textContent = action
    button.addEventListener("click", done)
    dialog.addEventListener("close", () => dialog.remove())
    dialog.append(text, button)
    document.body.append(dialog)
    return dialog
  }

  // Somebody may have signed out in another tab, or have gone back to this page as it was.
  async function look() {
    const answer = await fetched(`${page}/`, { method: "HEAD", cache: "no-store", headers: { "X-Background": "true" } }).catch(() => null)
    if (answer?.status === 401) sessionEnded()
    else if (answer?.ok && ended) location.reload()
  }
  const channel = new BroadcastChannel("hounsfield-session")
  channel.addEventListener("message", look)
  window.addEventListener("pageshow", ({ persisted }) => { if (persisted) look() })
  // A tab that waits for a session goes on.
  channel.postMessage("signed in")
})()
