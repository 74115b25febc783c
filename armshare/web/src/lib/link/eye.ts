// The page's end of the worker that looks through one camera and draws what comes.

import { hubSocket } from '../hub'
import type { Codec } from './frames'
import type { Look } from './signalling'

export type LookAt = Omit<Look, 'type'> & { url: string }

export type ToEye = { type: 'look'; at: LookAt; canvas: OffscreenCanvas } | { type: 'close' }

export type FromEye =
  | { type: 'looking'; codec: Codec }
  /** `atMs` counts from the Unix epoch, monotonic within the page; `ageMs` is how old what it shows is. */
  | { type: 'shown'; state: number; tHostUs: bigint; atMs: number; ageMs: number }
  | { type: 'refused'; code: string; message: string }
  | { type: 'closed' }

export class Eye {
  readonly #worker = new Worker(new URL('./eye.worker.ts', import.meta.url), { type: 'module' })

  constructor(canvas: HTMLCanvasElement, at: Omit<LookAt, 'url'>, hear: (message: FromEye) => void) {
    this.#worker.onmessage = ({ data }: MessageEvent<FromEye>) => hear(data)
    const offscreen = canvas.transferControlToOffscreen()
    const look: ToEye = { type: 'look', at: { ...at, url: hubSocket('/ws/camera') }, canvas: offscreen }
    this.#worker.postMessage(look, [offscreen])
  }

  close(): void {
    this.#worker.onmessage = null
    this.#worker.postMessage({ type: 'close' } satisfies ToEye)
    setTimeout(() => this.#worker.terminate(), 500)
  }
}

/** Whether this browser decodes H.264 as it comes. */
export async function decodesH264(): Promise<boolean> {
  if (!('VideoDecoder' in self)) return false
  const { supported } = await VideoDecoder.isConfigSupported(H264).catch(() => ({ supported: false }))
  return supported ?? false
}

/** Baseline, level 3.1: what a host's encoder makes. Without `optimizeForLatency` a decoder may hold a frame back. */
export const H264: VideoDecoderConfig = { codec: 'avc1.42c01f', optimizeForLatency: true }
