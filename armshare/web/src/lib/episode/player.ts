// Shows a camera's pictures on a canvas, at the moment that the page shows: they are fetched from the episode's file by
// ranges, and decoded by the browser as they were recorded.

import { type Api, ApiError } from '../account/api'
import type { Film } from './answers'
import { coloured, readDepth, type Span, spanOf } from './depth'
import { type Block, blocksOf, feed, h264Of, pictureAt } from './film'

/** Blocks that are kept, of about a quarter of a megabyte each. */
const KEPT = 48
/** A decoder that gives nothing for so long is asked to hand out what it holds. */
const HELD_MS = 120

type Bytes = Uint8Array<ArrayBuffer>

export class FilmPlayer {
  readonly #film: Film
  readonly #fetch: (from: number, until: number) => Promise<Bytes>
  readonly #context: CanvasRenderingContext2D
  readonly #told: (picture: number | null, error: unknown) => void
  readonly #blocks: Block[]
  readonly #kept = new Map<number, Promise<Bytes>>()
  readonly #away = new AbortController()
  #wanted: number | null = null
  #shown: number | null = null
  #busy = false
  #decoder: VideoDecoder | null = null
  #decoded: number | null = null
  #span: Span | null = null
  #held: ReturnType<typeof setTimeout> | undefined

  /** `told` hears which picture is shown, or what went wrong. */
  constructor(api: Pick<Api, 'part'>, episode: string, film: Film, canvas: HTMLCanvasElement, told: (picture: number | null, error: unknown) => void) {
    this.#film = film
    this.#blocks = blocksOf(film)
    this.#fetch = (from, until) => api.part(episode, 'episode.h5', from, until, this.#away.signal)
    this.#told = told
    Object.assign(canvas, { width: film.width, height: film.height })
    const context = canvas.getContext('2d', { alpha: false })
    if (!context) throw new Error('This browser gives no canvas.')
    this.#context = context
  }

  /** Of depth: what its colours go from and to, m; null before the first is shown. */
  get spanM(): Span | null {
    return this.#span && { near: this.#span.near * this.#film.unit_m, far: this.#span.far * this.#film.unit_m }
  }

  close(): void {
    this.#away.abort()
    clearTimeout(this.#held)
    this.#end()
  }

  /** Show what the camera had given at a moment. */
  show(atS: number): void {
    const picture = pictureAt(this.#film, atS)
    if (picture === null || picture === this.#wanted) return
    this.#wanted = picture
    if (!this.#busy) void this.#go()
  }

  /** Until what is wanted is shown; more may be wanted meanwhile. */
  async #go(): Promise<void> {
    this.#busy = true
    try {
      while (this.#wanted !== null && this.#wanted !== this.#shown && !this.#away.signal.aborted) {
        const wanted = this.#wanted
        if (this.#film.codec === 'h264') await this.#decode(wanted)
        else if (this.#film.codec === 'depth16') await this.#tint(wanted)
        else await this.#draw(wanted)
        this.#ahead(wanted)
        if (this.#wanted === wanted) break
      }
    } catch (error) {
      this.#end()
      if (!this.#away.signal.aborted) this.#told(null, error)
    }
    this.#busy = false
  }

  async #draw(wanted: number): Promise<void> {
    const data = await this.#bytes(wanted)
    const picture = await createImageBitmap(new Blob([data], { type: this.#film.codec === 'jpeg' ? 'image/jpeg' : 'image/png' }))
    if (!this.#away.signal.aborted) this.#show(picture, wanted)
    picture.close()
  }

  /** The colours are those of the first picture, so that a place that does not move keeps its colour. */
  async #tint(wanted: number): Promise<void> {
    this.#span ??= spanOf(await readDepth(await this.#bytes(0)))
    const depth = await readDepth(await this.#bytes(wanted))
    if (this.#away.signal.aborted) return
    this.#context.putImageData(new ImageData(coloured(depth, this.#span), depth.width, depth.height), 0, 0)
    this.#seen(wanted)
  }

  async #decode(wanted: number): Promise<void> {
    const { from, anew } = feed(this.#film, wanted, this.#decoder?.state === 'configured' ? this.#decoded : null)
    const first = await this.#bytes(from)
    if (anew) this.#begin(first)
    for (let picture = from; picture <= wanted; picture++) {
      const data = picture === from ? first : await this.#bytes(picture)
      if (this.#away.signal.aborted || !this.#decoder) return
      this.#decoder.decode(new EncodedVideoChunk({ type: this.#film.key[picture] === 1 ? 'key' : 'delta', timestamp: picture, data }))
      this.#decoded = picture
    }
    clearTimeout(this.#held)
    this.#held = setTimeout(() => void this.#flush(wanted), HELD_MS)
  }

  #begin(first: Bytes): void {
    if (!('VideoDecoder' in globalThis)) throw new ApiError('no_h264', 'this browser decodes no H.264 by WebCodecs', 0)
    this.#end()
    const decoder = new VideoDecoder({
      output: (picture) => {
        if (decoder === this.#decoder && picture.timestamp === this.#wanted) this.#show(picture, picture.timestamp)
        picture.close()
      },
      error: (error) => {
        if (decoder !== this.#decoder) return
        this.#end()
        this.#told(null, error)
      },
    })
    decoder.configure({ codec: h264Of(first) ?? 'avc1.42c01f', optimizeForLatency: true })
    this.#decoder = decoder
  }

  /** A decoder that holds the picture back hands it out, and begins anew. */
  async #flush(wanted: number): Promise<void> {
    const decoder = this.#decoder
    if (!decoder || this.#shown === wanted || this.#wanted !== wanted || this.#busy) return
    await decoder.flush().catch(() => null)
    if (decoder === this.#decoder) this.#decoded = null
  }

  #end(): void {
    if (this.#decoder?.state !== 'closed') this.#decoder?.close()
    this.#decoder = this.#decoded = null
  }

  #show(picture: ImageBitmap | VideoFrame, number: number): void {
    this.#context.drawImage(picture, 0, 0, this.#film.width, this.#film.height)
    this.#seen(number)
  }

  #seen(number: number): void {
    this.#shown = number
    this.#told(number, null)
  }

  async #bytes(picture: number): Promise<Bytes> {
    const block = this.#blockOf(picture)
    const data = await this.#block(block)
    const begin = this.#film.at[(this.#blocks[block] as Block).first] as number
    return data.slice((this.#film.at[picture] as number) - begin, (this.#film.at[picture + 1] as number) - begin)
  }

  #blockOf(picture: number): number {
    let [low, high] = [0, this.#blocks.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#blocks[middle] as Block).first <= picture) low = middle
      else high = middle - 1
    }
    return low
  }

  #block(number: number): Promise<Bytes> {
    const kept = this.#kept.get(number)
    if (kept) return kept
    const { first, stop } = this.#blocks[number] as Block
    const coming = this.#fetch(this.#film.at[first] as number, this.#film.at[stop] as number)
    this.#kept.set(number, coming)
    coming.catch(() => this.#kept.delete(number))
    for (const old of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break
      this.#kept.delete(old)
    }
    return coming
  }

  /** What comes next is fetched before it is needed. */
  #ahead(picture: number): void {
    const next = this.#blockOf(picture) + 1
    if (next < this.#blocks.length) void this.#block(next).catch(() => null)
  }
}
