// Encapsulated documents (PS3.3 sections A.45 and A.85): PDF as pages, text as text, anything else to be saved.
import { saveFile } from "../../save_file.js"
import { number, text, value } from "../dicom.js"
import { about } from "./about.js"
import { bytesOf } from "./bulk.js"
import { codeOf } from "./codes.js"
import { button, element } from "./element.js"
import { DocumentHost } from "./host.js"
import { nameText } from "./moments.js"
import { kindName } from "./sop_classes.js"

// MIME types by SOP class, for objects that do not say theirs.
const BY_CLASS = { 1: "application/pdf", 2: "text/XML", 3: "model/stl", 4: "model/obj", 5: "model/mtl" }
const PREFIX = "1.2.840.10008.5.1.4.1.1.104."
const ENDINGS = { "application/pdf": "pdf", "text/xml": "xml", "application/xml": "xml", "model/stl": "stl", "model/obj": "obj", "model/mtl": "mtl", "text/plain": "txt", "text/html": "html", "text/rtf": "rtf" }
const TEXTS = new Set(["text/xml", "application/xml", "text/plain", "text/html", "model/obj", "model/mtl"])
const MOST_TEXT = 2_000_000

const titleOf = (dataset) => text(dataset, "00420010") || codeOf(dataset, "0040A043")?.meaning || kindName(text(dataset, "00080016"))
const typeOf = (dataset) => (text(dataset, "00420012") || BY_CLASS[text(dataset, "00080016").slice(PREFIX.length)] || "").split(";")[0].trim().toLowerCase()

export function open({ page, viewport, datasets }) {
  return DocumentHost.open({ page, viewport, datasets, name: titleOf, show })
}

async function show(dataset, host) {
  const found = await bytesOf(host.page, dataset["00420011"], (share) => host.say(`Loading … ${Math.round(share * 100)} %`))
  if (!found?.length) throw new Error("This object encapsulates no document.")
  // A value has an even length; what was added to it is not of the document.
  const length = number(dataset, "00420015")
  const bytes = length > 0 && length < found.length ? found.subarray(0, length) : found
  const type = typeOf(dataset)
  host.tools.append(button("Save file", () => saveFile(new Blob([bytes], { type: type || "application/octet-stream" }), fileName(dataset, type))))
  if (type === "application/pdf" || startsAsPdf(bytes)) {
    // Pages name whom they are of in their own way, if at all.
    host.tools.append(element("span", { className: "fine" }, [nameText(value(dataset, "00100010")), text(dataset, "00100020")].filter(Boolean).join(" · ")))
    const { showPdf } = await import("./pdf_pages.js")
    return showPdf(bytes.slice(), host, titleOf(dataset))
  }
  host.body.append(element("article", { className: "page-of-facts" },
    element("h2", {}, titleOf(dataset)),
    about(dataset, [["Content", type], ["Bytes", String(bytes.length)], ["Unit", codeOf(dataset, "004008EA")?.meaning]]),
    TEXTS.has(type) ? textOf(bytes) : element("p", {}, "This kind of document is not shown here. Save the file to open it with a program of its own.")))
  return {}
}

const startsAsPdf = (bytes) => new TextDecoder("latin1").decode(bytes.subarray(0, 1024)).includes("%PDF-")

// As text, whatever it is: no markup of it is followed, no script of it runs.
function textOf(bytes) {
  const isCut = bytes.length > MOST_TEXT
  const content = new TextDecoder().decode(bytes.subarray(0, MOST_TEXT)).replace(/\0+$/, "")
  return element("section", {},
    element("p", { className: "fine" }, isCut ? `The first ${MOST_TEXT} bytes as text; save the file for all of it.` : "Its content as text."),
    element("pre", { className: "document-text", tabIndex: 0 }, content))
}

function fileName(dataset, type) {
  const name = titleOf(dataset).replace(/[^\p{L}\p{N} ._-]+/gu, "_").trim().slice(0, 80) || "document"
  return `${name}.${ENDINGS[type] ?? "bin"}`
}
