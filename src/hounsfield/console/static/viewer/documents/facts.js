// Objects without a picture: what they are, their main attributes, what they refer to.
import { number, text, value, values } from "../dicom.js"
import { about } from "./about.js"
import { codeOf } from "./codes.js"
import { definitions, element, table } from "./element.js"
import { DocumentHost } from "./host.js"
import { dateText, nameText } from "./moments.js"
import { References } from "./references.js"
import { kindName } from "./sop_classes.js"

const MOST_REFERENCES = 100

const several = (tag) => (dataset) => values(dataset, tag).filter((one) => one !== null && typeof one !== "object").join(", ")
const person = (tag) => (dataset) => nameText(value(dataset, tag))
const day = (date, time) => (dataset) => dateText(text(dataset, date), text(dataset, time))
const count = (tag) => (dataset) => (values(dataset, tag).length ? String(values(dataset, tag).length) : "")
const meaning = (tag) => (dataset) => codeOf(dataset, tag)?.meaning

// What is said of an object where it has it.
const MAIN = [
  ["Label", several("00700080")],
  ["Description", several("00700081")],
  ["Made", day("00700082", "00700083")],
  ["Maker", person("00700084")],
  ["Image type", several("00080008")],
  ["Comment", several("00204000")],
  ["Acquisition", day("00080022", "00080032")],
  ["Protocol", several("00181030")],
  ["Body part", several("00180015")],
  ["Label of the plan", several("300A0002")],
  ["Name of the plan", several("300A0003")],
  ["Date of the plan", day("300A0006", "300A0007")],
  ["Intent", several("300A000A")],
  ["Geometry", several("300A000C")],
  ["Prescription", several("300A000E")],
  ["Approval", several("300E0002")],
  ["Approved by", person("300E0008")],
  ["Label of the structures", several("30060002")],
  ["Name of the structures", several("30060004")],
  ["Structures", count("30060020")],
  ["Unit of dose", several("30040002")],
  ["Type of dose", several("30040004")],
  ["Summation of dose", several("3004000A")],
  ["Treatment", day("30080250", "30080251")],
  ["Nucleus", several("00189100")],
  ["Spectroscopy", several("00189200")],
  ["Data points", several("00289002")],
  ["Spectral width, Hz", several("00189052")],
  ["Transmitter frequency, MHz", several("00189098")],
  ["Registrations", count("00700308")],
  ["Fiducial sets", count("0070031C")],
  ["Surfaces", count("00660002")],
  ["Tracks", count("00660101")],
  ["Annotation groups", count("006A0002")],
  ["Hanging protocol", several("00720002")],
  ["Contributing equipment", count("0018A001")],
  ["Anatomic region", meaning("00082218")],
]

export function open({ page, viewport, datasets }) {
  return DocumentHost.open({ page, viewport, datasets, show, name: (dataset) => several("00700080")(dataset) || several("300A0002")(dataset) || kindName(text(dataset, "00080016")) })
}

function show(dataset, host) {
  host.body.append(element("article", { className: "page-of-facts" },
    element("h2", {}, kindName(text(dataset, "00080016"))),
    element("p", {}, "This object has no picture of its own. These are its main attributes; Metadata leads to all of them."),
    about(dataset),
    definitions(MAIN.map(([name, read]) => [name, read(dataset)])),
    ...plan(dataset),
    referred(dataset, host)))
}

// Fractions, prescribed doses and beams of a plan (PS3.3 sections C.8.8.10 to C.8.8.14).
function plan(dataset) {
  const doses = values(dataset, "300A0010").map((dose) => [
    text(dose, "300A0016") || text(dose, "300A0014"), text(dose, "300A0020"), text(dose, "300A0026"), text(dose, "300A0023")])
  const fractions = values(dataset, "300A0070").map((group) => [
    text(group, "300A0071"), text(group, "300A0078"), text(group, "300A0080"), text(group, "300A00A0")])
  const beams = [...values(dataset, "300A00B0"), ...values(dataset, "300A03A2")].map((beam) => {
    const energies = values(beam, "300A0111").concat(values(beam, "300A03A8")).map((point) => number(point, "300A0114")).filter((one) => one !== undefined)
    return [text(beam, "300A00C0"), text(beam, "300A00C2"), text(beam, "300A00C4"), text(beam, "300A00C6"), [...new Set(energies)].join(", "), text(beam, "300A00B2")]
  })
  return [
    doses.length ? table("Dose references", ["Reference", "Type", "Prescribed, Gy", "Highest, Gy"], doses) : null,
    fractions.length ? table("Fraction groups", ["Group", "Fractions", "Beams", "Brachy applications"], fractions) : null,
    beams.length ? table("Beams", ["Number", "Name", "Type", "Radiation", "Energy, MeV or MV", "Machine"], beams) : null,
  ]
}

// Objects that this one names in its sequences of series and instances.
function referred(dataset, host) {
  const objects = [
    ...values(dataset, "00081115").flatMap((series) => [...values(series, "00081140"), ...values(series, "0008114A"), ...values(series, "00081199")]),
    ...values(dataset, "00081140"), ...values(dataset, "300C0060"), ...values(dataset, "300C0002"), ...values(dataset, "00089154"),
  ].filter((object) => text(object, "00081155"))
  if (!objects.length) return null
  const references = new References(host, dataset)
  const list = element("ul", {}, ...objects.slice(0, MOST_REFERENCES).map((object) => element("li", {}, references.link({
    sop: text(object, "00081155"), kind: text(object, "00081150"), frames: values(object, "00081160").map(Number).filter(Number.isFinite), segments: [], channels: [],
  }))))
  const more = objects.length > MOST_REFERENCES ? element("p", {}, `and ${objects.length - MOST_REFERENCES} more`) : null
  return element("section", {}, element("h3", {}, "Refers to"), list, more)
}
