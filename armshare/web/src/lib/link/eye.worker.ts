// The worker that looks through one camera: reads frames, decodes and draws the newest, and answers those that ask for it.
// The page's own thread never waits for a picture.

import { type FromEye, H264, type LookAt, type ToEye } from './eye'
import type { HubToViewer, ViewerToHub } from './signalling'
import { type Codec, decodeFrame, encodeSeen, type Frame } from './frames'

const RETRY_MS = 2000
const FOREVER = new Set(['auth', 'unknown_camera', 'codec', 'protocol', 'malformed'])

type Shown = Pick<Frame, 'camera' | 'codec' | 'seq' | 'asks' | 'state' | 'tHostUs'>

const tell = (message: FromEye): void => self.postMessage(message)

class Looker {
  readonly #at: LookAt
  readonly #canvas: OffscreenCanvas
  readonly #context: OffscreenCanvasRenderingContext2D
  #socket: WebSocket | null = null
  #decoder: VideoDecoder | null = null
  #decoding: Map<number, Shown> = new Map()
  #decoded: Shown | null = null
  /** What came while another was drawn: only the newest. */
  #waiting: Frame | null = null
  #drawing = false
  #fastestMs = Infinity
  #over = false

  constructor(at: LookAt, canvas: OffscreenCanvas) {
    this.#at = at
    this.#canvas = canvas
    const context = canvas.getContext('2d', { alpha: false, desynchronized: true })
    if (!context) throw new Error('This browser cannot draw in a worker.')
    this.#context = context
    this.#open()
  }

  close(): void {
    this.#over = true
    this.#socket?.close(1000)
  }

  #open(): void {
    const { url, ...look } = this.#at
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => socket.send(JSON.stringify({ type: 'look', ...look } satisfies ViewerToHub))
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === 'string') this.#told(JSON.parse(data) as HubToViewer)
      else this.#came(decodeFrame(data))
    }
    socket.onclose = () => {
      this.#decoder?.close()
      this.#decoder = null
      tell({ type: 'closed' })
      if (!this.#over) setTimeout(() => this.#open(), RETRY_MS)
    }
    this.#socket = socket
    this.#fastestMs = Infinity
  }

  #told(message: HubToViewer): void {
    if (message.type === 'looking') return tell({ type: 'looking', codec: message.codec as Codec })
    this.#over ||= FOREVER.has(message.code)
    tell({ type: 'refused', code: message.code, message: message.message })
  }

  #came(frame: Frame): void {
    if (frame.codec === 'h264') this.#decode(frame)
    else if (this.#drawing) this.#waiting = { ...frame, asks: frame.asks || this.#waiting?.asks === true } // it answers for those left out
    else void this.#draw(frame)
  }

  async #draw(frame: Frame): Promise<void> {
    this.#drawing = true
    const picture = await createImageBitmap(new Blob([frame.payload], { type: 'image/jpeg' })).catch(() => null)
    this.#drawing = false
    const next = this.#waiting
    this.#waiting = null
    if (picture) this.#show(picture, frame)
    else this.#read(frame)
    picture?.close()
    if (next) void this.#draw(next)
  }

  #decode(frame: Frame): void {
    const decoder = (this.#decoder ??= this.#decoderOf(frame))
    if (!decoder) return this.#answer(frame, true)
    this.#decoded = frame
    const timestamp = Number(frame.tHostUs)
    this.#decoding.set(timestamp, frame)
    decoder.decode(new EncodedVideoChunk({ type: frame.key ? 'key' : 'delta', timestamp, data: frame.payload }))
  }

  #decoderOf(frame: Frame): VideoDecoder | null {
    if (!frame.key) return null
    this.#decoding.clear()
    const decoder = new VideoDecoder({
      output: (picture) => {
        const shown = this.#decoding.get(picture.timestamp)
        this.#decoding.delete(picture.timestamp)
        if (shown) this.#show(picture, shown)
        picture.close()
      },
      error: () => {
        this.#decoder = null
        if (this.#decoded) this.#answer(this.#decoded, true) // for those that it swallowed, too
      },
    })
    decoder.configure(H264)
    return decoder
  }

  #show(picture: ImageBitmap | VideoFrame, frame: Shown): void {
    const [width, height] = 'displayWidth' in picture ? [picture.displayWidth, picture.displayHeight] : [picture.width, picture.height]
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height })
    this.#context.drawImage(picture, 0, 0)
    this.#read(frame)
    const atMs = performance.timeOrigin + performance.now()
    // The two clocks are never compared: how much later than the fastest it was.
    const tookMs = atMs - Number(frame.tHostUs) / 1000
    this.#fastestMs = Math.min(this.#fastestMs, tookMs)
    tell({ type: 'shown', state: frame.state, tHostUs: frame.tHostUs, atMs, ageMs: tookMs - this.#fastestMs })
  }

  #read(frame: Shown): void {
    if (frame.asks) this.#answer(frame, false)
  }

  #answer(frame: Shown, wantKey: boolean): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(encodeSeen(frame, wantKey))
  }
}

let looker: Looker | null = null

self.onmessage = ({ data }: MessageEvent<ToEye>) => {
  if (data.type === 'look') looker = new Looker(data.at, data.canvas)
  else looker?.close()
}
