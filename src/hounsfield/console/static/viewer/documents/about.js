// What every object says of itself: its kind by SOP class, and its main attributes.
import { text } from "../dicom.js"
import { definitions } from "./element.js"
import { dateText, nameText } from "./moments.js"
import { kindName } from "./sop_classes.js"

// Where the console shows all attributes of a series: the image sets that it is in.
export function aboutAddress(page, dataset) {
  const query = new URLSearchParams({ by: "DICOMSeriesInstanceUID", value: text(dataset, "0020000E") })
  return `${datastoreAddress(page)}/imagesets?${query}`
}

export const datastoreAddress = (page) => `/console/datastores/${/\/datastore\/([^/]+)\//.exec(page.base)[1]}`

export function about(dataset, rows = []) {
  return definitions([
    ["Patient", [nameText(dataset["00100010"]?.Value?.[0]), text(dataset, "00100020")].filter(Boolean).join(" · ")],
    ["Born", dateText(text(dataset, "00100030"))],
    ["Sex", text(dataset, "00100040")],
    ["Study", [dateText(text(dataset, "00080020"), text(dataset, "00080030")), text(dataset, "00081030")].filter(Boolean).join(", ")],
    ["Accession number", text(dataset, "00080050")],
    ["Object", kindName(text(dataset, "00080016"))],
    ["Series", text(dataset, "0008103E")],
    ["Content", dateText(text(dataset, "00080023"), text(dataset, "00080033"))],
    ["Institution", [text(dataset, "00080080"), text(dataset, "00081040")].filter(Boolean).join(", ")],
    ["Made by", [text(dataset, "00080070"), text(dataset, "00081090")].filter(Boolean).join(", ")],
    ...rows,
  ])
}
