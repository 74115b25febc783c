// The worker that owns the socket and the heartbeat, so that drawing can never delay a command.
//
// It sends at 30 Hz for as long as a lease is held. An intent that the page has not renewed for STALL_MS counts as let
// go: a page that hangs must not keep the arm moving.

import { RoundTrip } from './clock'
import type { Intent } from './input'
import type { FromLink, ToLink } from './link'
import { Twist } from './twist'
import { decodeState, encodeCommand } from './wire'

const PERIOD_MS = 1000 / 30
const STALL_MS = 250

let socket: WebSocket | null = null
let epoch: number | null = null
let seq = 0
let seen = 0
let intent: { value: Intent; atMs: number } | null = null
let tickedMs = 0
let twist = new Twist()
let roundTrip = new RoundTrip()

const tell = (message: FromLink, transfer: Transferable[] = []): void => self.postMessage(message, { transfer })
const nowUs = (): bigint => BigInt(Math.round(performance.now() * 1000))

function open(url: string): void {
  const opened = new WebSocket(url)
  opened.binaryType = 'arraybuffer'
  opened.onopen = () => tell({ type: 'open' })
  opened.onclose = (event) => tell({ type: 'closed', code: event.code, reason: event.reason })
  opened.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
    if (typeof event.data === 'string') tell({ type: 'text', text: event.data })
    else state(event.data)
  }
  socket = opened
}

function state(data: ArrayBuffer): void {
  try {
    const decoded = decodeState(data)
    if (decoded.epoch === epoch) roundTrip.echo(decoded.tClientUs, nowUs())
    const atMs = performance.timeOrigin + performance.now()
    tell({ type: 'state', state: decoded, roundTripMs: roundTrip.ms, atMs }, [decoded.values.buffer as ArrayBuffer])
  } catch (error) {
    tell({ type: 'malformed', message: String(error) })
  }
}

function tick(): void {
  const nowMs = performance.now()
  const elapsedS = Math.min(0.1, (nowMs - tickedMs) / 1000)
  tickedMs = nowMs
  if (epoch === null || socket?.readyState !== WebSocket.OPEN) return
  const fresh = intent !== null && nowMs - intent.atMs < STALL_MS
  const deadMan = fresh && intent !== null && intent.value.deadMan
  const values = intent ? twist.step({ ...intent.value, deadMan }, elapsedS) : []
  seq += 1
  const head = { epoch, seq, seen, tClientUs: nowUs(), deadMan }
  socket.send(encodeCommand(deadMan ? { ...head, mode: 'ee_twist', values } : { ...head, mode: 'neutral', values: [] }))
}

function lease(next: number | null, fresh: Twist): void {
  epoch = next
  seq = 0
  seen = 0
  intent = null
  twist = fresh
  roundTrip = new RoundTrip()
}

self.onmessage = ({ data }: MessageEvent<ToLink>) => {
  if (data.type === 'open') open(data.url)
  else if (data.type === 'text') socket?.send(data.text)
  else if (data.type === 'lease') lease(data.epoch, new Twist(data.hands, data.base))
  else if (data.type === 'over') lease(null, new Twist())
  else if (data.type === 'intent') intent = { value: data.intent, atMs: performance.now() }
  else if (data.type === 'openings') twist.reset(data.openings)
  else if (data.type === 'shown') seen = data.seq
  else if (data.type === 'close') socket?.close(1000)
}

setInterval(tick, PERIOD_MS)
