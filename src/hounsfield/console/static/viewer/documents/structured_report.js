// Structured reports and key object selections (PS3.3 section A.35) as a tree that can be read.
import { text, value, values } from "../dicom.js"
import { about } from "./about.js"
import { codeOf } from "./codes.js"
import { button, definitions, element } from "./element.js"
import { DocumentHost } from "./host.js"
import { measurementTable } from "./measurement_table.js"
import { dateTimeText, nameText } from "./moments.js"
import { References } from "./references.js"
import { ReportTree } from "./report_tree.js"

const titleOf = (dataset) => codeOf(dataset, "0040A043")?.meaning ?? (text(dataset, "0008103E") || "Document without a title")

export function open({ page, viewport, datasets }) {
  return DocumentHost.open({ page, viewport, datasets, name: titleOf, show })
}

function show(dataset, host) {
  const tree = new ReportTree(dataset, new References(host, dataset))
  if (tree.branches.size) host.tools.append(button("Open all", () => tree.openAll(true)), button("Close all", () => tree.openAll(false)))
  host.body.append(element("article", { className: "report" },
    element("h2", {}, titleOf(dataset)),
    state(dataset),
    about(dataset, [
      ["Authors", authors(dataset)],
      ["Template", templateOf(dataset)],
      ["Replaces", predecessors(dataset)],
    ]),
    measurementTable(dataset),
    tree.isEmpty ? element("p", { className: "warning" }, "This document has no content.") : tree.element))
}

// Whether the document is complete and who vouches for it: what one must know before one reads it.
function state(dataset) {
  const completion = text(dataset, "0040A491")
  const verification = text(dataset, "0040A493")
  const isKeyObjects = text(dataset, "00080016") === "1.2.840.10008.5.1.4.1.1.88.59"
  if (isKeyObjects && !completion && !verification) return null
  const completed = { COMPLETE: "Complete", PARTIAL: "Partial: content is missing" }[completion] ?? (completion || "It does not say whether it is complete")
  const verified = { VERIFIED: "Verified", UNVERIFIED: "Not verified" }[verification] ?? (verification || "It does not say whether it is verified")
  const preliminary = { PRELIMINARY: "Preliminary", FINAL: "Final" }[text(dataset, "0040A496")]
  const isSafe = completion === "COMPLETE" && verification === "VERIFIED" && preliminary !== "Preliminary"
  const observers = values(dataset, "0040A073").map((observer) => [
    nameText(value(observer, "0040A075")), text(observer, "0040A027"), dateTimeText(text(observer, "0040A030"))].filter(Boolean).join(", "))
  return element("div", { className: "report-state", dataset: isSafe ? {} : { attention: "" } },
    element("p", {}, [preliminary, completed, verified].filter(Boolean).join(" · ")),
    definitions([["Completion", text(dataset, "0040A492")], ["Verified by", observers.join("; ")]]))
}

const authors = (dataset) => [
  ...values(dataset, "0040A078").map((author) => [nameText(value(author, "0040A123")), text(author, "00080080")].filter(Boolean).join(", ")),
].filter(Boolean).join("; ")

function templateOf(dataset) {
  const template = value(dataset, "0040A504")
  const identifier = text(template, "0040DB00")
  return identifier && `TID ${identifier} (${text(template, "00080105")})`
}

function predecessors(dataset) {
  const count = values(dataset, "0040A360").flatMap((study) => values(study, "00081115")).flatMap((series) => values(series, "00081199")).length
  return count ? `${count} earlier document${count > 1 ? "s" : ""}` : ""
}
