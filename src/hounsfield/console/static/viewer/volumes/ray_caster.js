// A volume in three dimensions by WebGL 2: rays through a texture, the largest value of each or surfaces in light.
import { brightness } from "../greyscale.js"
import { add, cross, dot, length, scaled } from "../vectors.js"
import { isDark, toIndex, toPatient } from "./geometry.js"

// Voxels of the texture; what has more is averaged in blocks.
const MOST_VOXELS = 48e6
const TABLE = 4096

const VERTICES = `#version 300 es
const vec2 corners[3] = vec2[3](vec2(-1., -1.), vec2(3., -1.), vec2(-1., 3.));
void main() { gl_Position = vec4(corners[gl_VertexID], 0., 1.); }`

const RAYS = `#version 300 es
precision highp float;
precision highp sampler3D;
uniform sampler3D voxels;
uniform sampler2D levels;
uniform vec3 start, across, upwards, ray;   // Of the texture, whose voxels reach from 0 to 1.
uniform vec3 halfVoxel, towardsEye;
uniform mat3 toPatient;                     // From steps of the gradient to directions in the patient.
uniform float steps, opacity;
uniform bool isShaded;
out vec4 colour;

float value(vec3 place) { return texture(voxels, place).r; }

void main() {
  vec3 place = start + gl_FragCoord.x * across + gl_FragCoord.y * upwards;
  vec3 first = (vec3(0.) - place) / ray, last = (vec3(1.) - place) / ray;
  vec3 nearest = min(first, last), farthest = max(first, last);
  float from = max(max(nearest.x, nearest.y), nearest.z), to = min(min(farthest.x, farthest.y), farthest.z);
  colour = vec4(0., 0., 0., 1.);
  if (from >= to) return;
  float stride = 1. / steps;
  if (!isShaded) {
    float most = 0.;
    for (float at = from; at < to; at += stride) most = max(most, value(place + at * ray));
    colour.rgb = vec3(texture(levels, vec2(most, .5)).r);
    return;
  }
  vec3 sum = vec3(0.);
  float clear = 1.;
  for (float at = from; at < to; at += stride) {
    vec3 here = place + at * ray;
    float level = texture(levels, vec2(value(here), .5)).r;
    if (level < .004) continue;
    float part = 1. - pow(1. - min(.999, level * level), opacity);
    vec3 slope = vec3(value(here + vec3(halfVoxel.x, 0., 0.)) - value(here - vec3(halfVoxel.x, 0., 0.)),
                      value(here + vec3(0., halfVoxel.y, 0.)) - value(here - vec3(0., halfVoxel.y, 0.)),
                      value(here + vec3(0., 0., halfVoxel.z)) - value(here - vec3(0., 0., halfVoxel.z)));
    vec3 normal = toPatient * slope;
    float size = length(normal);
    float light = size > 0. ? abs(dot(normal / size, towardsEye)) : 1.;
    vec3 surface = mix(vec3(.62, .34, .25), vec3(1., .97, .9), level);
    sum += clear * part * surface * (.25 + .75 * light);
    clear *= 1. - part;
    if (clear < .02) break;
  }
  colour.rgb = sum;
}`

export class RayCaster {
  constructor(canvas) {
    this.canvas = canvas
    this.gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true })
    if (!this.gl) throw new Error("The three-dimensional picture needs WebGL 2, which this browser does not have.")
    this.program = program(this.gl)
    this.window = null
    this.table = { key: "", texture: this.gl.createTexture() }
  }

  // Takes voxels, in as many steps as there are slices, with pauses in which the page answers.
  async take(voxels, signal) {
    const { gl } = this
    const block = blockOf(voxels, gl.getParameter(gl.MAX_3D_TEXTURE_SIZE))
    const size = voxels.size.map((count, axis) => Math.max(1, Math.floor(count / block[axis])))
    const texture = gl.createTexture()
    gl.bindTexture(gl.TEXTURE_3D, texture)
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) gl.texParameteri(gl.TEXTURE_3D, side, gl.CLAMP_TO_EDGE)
    for (const which of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_3D, which, gl.LINEAR)
    gl.texStorage3D(gl.TEXTURE_3D, 1, gl.R16F, ...size)
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1)
    const slice = new Uint16Array(size[0] * size[1])
    const toHalf = halves(voxels)
    for (let number = 0; number < size[2]; number += 1) {
      fillSlice(slice, voxels, block, size, number, toHalf)
      gl.bindTexture(gl.TEXTURE_3D, texture)
      gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, number, size[0], size[1], 1, gl.RED, gl.HALF_FLOAT, slice)
      if (number % 16 === 15) {
        await new Promise((resolve) => setTimeout(resolve))
        if (signal.aborted) { gl.deleteTexture(texture); return }
      }
    }
    if (gl.getError() !== gl.NO_ERROR) { gl.deleteTexture(texture); throw new Error("The three-dimensional picture does not fit into the memory of the graphics card.") }
    if (this.texture) gl.deleteTexture(this.texture)
    Object.assign(this, { texture, voxels, block, size })
    this.table.key = ""
  }

  // How far the volume reaches along each axis of the patient, its middle, and its longest diagonal, in mm.
  get extent() { return [0, 1, 2].map((axis) => this.voxels.steps.reduce((sum, step, at) => sum + Math.abs(step[axis]) * this.voxels.size[at], 0)) }
  get middle() { return toPatient(this.voxels, this.voxels.size.map((count) => (count - 1) / 2)) }
  get reach() {
    const [columns, rows, slices] = this.voxels.size
    return Math.max(...[[1, 1], [1, -1], [-1, 1], [-1, -1]].map(([x, y]) => length(add(add(scaled(this.voxels.steps[0], columns), scaled(this.voxels.steps[1], x * rows)), scaled(this.voxels.steps[2], y * slices)))))
  }

  // right and up of the screen as directions in the patient, the place of the patient that is in the middle, mm for a pixel.
  draw({ right, up, centre, scale, isShaded, window, isInverted }) {
    const { gl, canvas, program: { uniforms } } = this
    if (!this.texture) return
    const towardsEye = cross(right, up)
    const back = scaled(towardsEye, -1)
    const corner = add(add(centre, scaled(right, -scale * (canvas.width / 2))), scaled(up, -scale * (canvas.height / 2)))
    const begin = add(corner, scaled(towardsEye, this.reach))
    const far = 2 * this.reach
    gl.viewport(0, 0, canvas.width, canvas.height)
    gl.useProgram(this.program.name)
    gl.activeTexture(gl.TEXTURE0)
    gl.bindTexture(gl.TEXTURE_3D, this.texture)
    gl.activeTexture(gl.TEXTURE1)
    this.#setTable(window, isInverted && !isShaded, isShaded)
    gl.uniform1i(uniforms.voxels, 0)
    gl.uniform1i(uniforms.levels, 1)
    gl.uniform3fv(uniforms.start, this.#toTexture(begin))
    gl.uniform3fv(uniforms.across, this.#direction(scaled(right, scale)))
    gl.uniform3fv(uniforms.upwards, this.#direction(scaled(up, scale)))
    // A component that is 0 would make a ray of its own: 0 divided by 0.
    gl.uniform3fv(uniforms.ray, this.#direction(scaled(back, far)).map((part) => (Math.abs(part) < 1e-7 ? 1e-7 : part)))
    const voxel = Math.min(...this.voxels.steps.map((step, axis) => length(step) * this.block[axis]))
    const stride = voxel * (isShaded ? 0.6 : 0.5)
    gl.uniform1f(uniforms.steps, far / stride)
    gl.uniform1f(uniforms.opacity, stride / 1.2)
    gl.uniform3fv(uniforms.halfVoxel, this.size.map((count) => 1 / count))
    gl.uniform3fv(uniforms.towardsEye, towardsEye)
    gl.uniformMatrix3fv(uniforms.toPatient, false, this.voxels.steps.flatMap((step, axis) => scaled(step, 1 / (this.block[axis] * dot(step, step)))))
    gl.uniform1i(uniforms.isShaded, isShaded ? 1 : 0)
    gl.drawArrays(gl.TRIANGLES, 0, 3)
  }

  // From the patient to the texture, whose voxels may be blocks; their middles lie at halves.
  #toTexture(point) { return toIndex(this.voxels, point).map((at, axis) => (at + 0.5) / (this.size[axis] * this.block[axis])) }
  #direction(way) { return this.voxels.inverse.map((row, axis) => dot(row, way) / (this.size[axis] * this.block[axis])) }

  #setTable(window, isInverted, isShaded) {
    const { gl, table, voxels: { low, high, frames } } = this
    const key = JSON.stringify([window, isInverted, isShaded, low, high])
    gl.bindTexture(gl.TEXTURE_2D, table.texture)
    if (table.key === key) return
    const isTurned = !isShaded && isDark(frames[0]) !== isInverted
    const levels = Uint8Array.from({ length: TABLE }, (_, at) => {
      const bright = brightness(window, low + (at / (TABLE - 1)) * (high - low))
      return Math.floor((isTurned ? 1 - bright : bright) * 255 + 0.5)
    })
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, TABLE, 1, 0, gl.RED, gl.UNSIGNED_BYTE, levels)
    for (const which of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, which, gl.NEAREST)
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE)
    table.key = key
  }

  close() { this.gl.getExtension("WEBGL_lose_context")?.loseContext() }
}

function program(gl) {
  const name = gl.createProgram()
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTICES], [gl.FRAGMENT_SHADER, RAYS]]) {
    const shader = gl.createShader(kind)
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(`The three-dimensional picture cannot be drawn: ${gl.getShaderInfoLog(shader)}`)
    gl.attachShader(name, shader)
  }
  gl.linkProgram(name)
  const names = ["voxels", "levels", "start", "across", "upwards", "ray", "halfVoxel", "towardsEye", "toPatient", "steps", "opacity", "isShaded"]
  return { name, uniforms: Object.fromEntries(names.map((one) => [one, gl.getUniformLocation(name, one)])) }
}

// How many voxels along each axis become one of the texture.
function blockOf({ size }, most) {
  const block = size.map((count) => Math.ceil(count / most))
  const total = () => size.reduce((product, count, axis) => product * Math.floor(count / block[axis]), 1)
  while (total() > MOST_VOXELS) {
    const counts = size.map((count, axis) => count / block[axis])
    block[counts.indexOf(Math.max(...counts))] += 1
  }
  return block
}

function fillSlice(slice, voxels, block, size, number, toHalf) {
  const { samples, size: [columns, rows] } = voxels
  const [wide, high, deep] = block
  let to = 0
  for (let row = 0; row < size[1]; row += 1) {
    for (let column = 0; column < size[0]; column += 1, to += 1) {
      if (wide * high * deep === 1) { slice[to] = toHalf(samples[(number * rows + row) * columns + column]); continue }
      let [sum, count] = [0, 0]
      for (let z = number * deep; z < (number + 1) * deep; z += 1) {
        for (let y = row * high; y < (row + 1) * high; y += 1) {
          for (let x = column * wide; x < (column + 1) * wide; x += 1) {
            const sample = samples[(z * rows + y) * columns + x]
            if (voxels.isPadding(sample)) continue
            sum += sample
            count += 1
          }
        }
      }
      slice[to] = count ? toHalf(sum / count) : 0
    }
  }
}

// A function from samples to half floats from 0 to 1 over the range of the volume; padding is as low as the lowest value.
function halves(voxels) {
  const { low, high, slope, intercept } = voxels
  const span = high > low ? high - low : 1
  const view = new DataView(new ArrayBuffer(4))
  const half = (sample) => {
    const share = voxels.isPadding(sample) ? 0 : Math.min(1, Math.max(0, (sample * slope + intercept - low) / span))
    view.setFloat32(0, share)
    const bits = view.getUint32(0)
    const exponent = (bits >>> 23) - 112
    if (exponent <= 0) return 0
    return (exponent << 10) | ((bits >>> 13) & 0x3ff)
  }
  if (!voxels.isUniform) return half
  const isSigned = voxels.samples instanceof Int16Array || voxels.samples instanceof Int8Array
  const table = new Uint16Array(65536)
  for (let bits = 0; bits < 65536; bits += 1) table[bits] = half(isSigned && bits > 32767 ? bits - 65536 : bits)
  return (sample) => table[sample & 0xffff]
}
