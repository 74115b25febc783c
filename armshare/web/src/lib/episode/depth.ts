// Depth as colours. A browser reads a PNG of 16 bits as 8, which makes whatever is near black: so it is decoded here.

/** How far away each pixel is, in the camera's units; 0 for nothing. */
export interface Depth {
  width: number
  height: number
  values: Uint16Array
}

/** What the colours go from and to, in the camera's units. */
export interface Span {
  near: number
  far: number
}

export class DepthError extends Error {
  override name = 'DepthError'
}

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]
const SIDE_MAX = 4096
const BYTES = 2
/** From near to far: of Matplotlib's viridis, whose lightness tells as much as its colour. */
const COLOURS = [[253, 231, 37], [122, 209, 81], [34, 168, 132], [42, 120, 142], [65, 68, 135], [68, 1, 84]] as const
const NOTHING = [18, 22, 20] as const

/** Decode a grey PNG of 16 bits that is not interlaced, as recordings have them; throws DepthError. */
export async function readDepth(png: Uint8Array<ArrayBuffer>): Promise<Depth> {
  if (!SIGNATURE.every((byte, i) => png[i] === byte)) throw new DepthError('expected a PNG')
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength)
  const parts: Uint8Array<ArrayBuffer>[] = []
  let [width, height] = [0, 0]
  for (let at = SIGNATURE.length; at + 12 <= png.length; ) {
    const [size, kind] = [view.getUint32(at), String.fromCharCode(...png.subarray(at + 4, at + 8))]
    const data = png.subarray(at + 8, at + 8 + size)
    if (data.length < size) throw new DepthError('expected all of the PNG, got a part of it')
    if (kind === 'IHDR') [width, height] = sizeOf(data)
    if (kind === 'IDAT') parts.push(data)
    if (kind === 'IEND') break
    at += 12 + size
  }
  if (width === 0) throw new DepthError('expected a PNG with a header')
  const rows = await inflated(parts)
  if (rows.length !== height * (1 + BYTES * width)) throw new DepthError(`expected ${height} rows of ${width} pixels, got ${rows.length} bytes`)
  return { width, height, values: unfiltered(rows, width, height) }
}

function sizeOf(header: Uint8Array): [number, number] {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  if (header.length < 13) throw new DepthError('expected a PNG with a whole header')
  const [width, height] = [view.getUint32(0), view.getUint32(4)]
  const [depth, colour, interlaced] = [header[8], header[9], header[12]]
  if (depth !== 16 || colour !== 0 || interlaced !== 0) throw new DepthError(`expected 16 bits of grey, got ${depth} bits of kind ${colour}`)
  if (width < 1 || height < 1 || width > SIDE_MAX || height > SIDE_MAX) throw new DepthError(`expected at most ${SIDE_MAX} pixels a side, got ${width} by ${height}`)
  return [width, height]
}

async function inflated(parts: Uint8Array<ArrayBuffer>[]): Promise<Uint8Array> {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream('deflate'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** Undo the filter of each row (PNG, section 9) and join the two bytes of each pixel. */
function unfiltered(rows: Uint8Array, width: number, height: number): Uint16Array {
  const stride = BYTES * width
  const values = new Uint16Array(width * height)
  let before = new Uint8Array(stride)
  for (let y = 0; y < height; y += 1) {
    const filter = rows[y * (stride + 1)] as number
    const row = rows.slice(y * (stride + 1) + 1, (y + 1) * (stride + 1))
    for (let i = 0; i < stride; i += 1) {
      const left = i < BYTES ? 0 : (row[i - BYTES] as number)
      row[i] = (row[i] as number) + predicted(filter, left, before[i] as number, i < BYTES ? 0 : (before[i - BYTES] as number))
    }
    for (let x = 0; x < width; x += 1) values[y * width + x] = ((row[2 * x] as number) << 8) | (row[2 * x + 1] as number)
    before = row
  }
  return values
}

function predicted(filter: number, left: number, above: number, corner: number): number {
  if (filter === 0) return 0
  if (filter === 1) return left
  if (filter === 2) return above
  if (filter === 3) return (left + above) >> 1
  if (filter !== 4) throw new DepthError(`expected a filter from 0 to 4, got ${filter}`)
  const guess = left + above - corner
  const [toLeft, toAbove, toCorner] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)]
  return toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner
}

/** What the colours of a film go from and to: all but the nearest and the farthest hundredth of a picture. */
export function spanOf({ values }: Depth): Span {
  const seen = values.filter((value) => value > 0).toSorted()
  const at = (share: number): number => seen[Math.round(share * (seen.length - 1))] ?? 0
  const [near, far] = [at(0.01), at(0.99)]
  return { near, far: Math.max(far, near + 1) }
}

/** RGBA of each pixel. */
export function coloured({ values }: Depth, { near, far }: Span): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * values.length)
  values.forEach((value, i) => pixels.set([...(value === 0 ? NOTHING : colourAt((value - near) / (far - near))), 255], 4 * i))
  return pixels
}

function colourAt(share: number): [number, number, number] {
  const place = Math.min(1, Math.max(0, share)) * (COLOURS.length - 1)
  const [from, until] = [COLOURS[Math.floor(place)], COLOURS[Math.ceil(place)]] as [(typeof COLOURS)[number], (typeof COLOURS)[number]]
  const part = place - Math.floor(place)
  return [0, 1, 2].map((i) => (from[i] as number) + part * ((until[i] as number) - (from[i] as number))) as [number, number, number]
}

/** The same colours, for a legend beside the picture. */
export const LEGEND = `linear-gradient(90deg, ${COLOURS.map((colour) => `rgb(${colour.join(' ')})`).join(', ')})`
