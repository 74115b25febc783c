// The worker that owns the socket and the heartbeat, so that drawing can never delay a command.

import { Heartbeat } from './heartbeat'
import type { Intent } from '../hands/input'
import type { BaseSpeeds } from '../hands/twist'
import type { FromLink, ToLink } from './link'

const PERIOD_MS = 1000 / 30
const HEALTH_EVERY = 6

const heartbeat = new Heartbeat()
let socket: WebSocket | null = null
let ticks = 0
let letGo = false
let foreign = false
/** The page may be about to go: what is sent now would be known to nobody. */
let hushed = false
/** The number of the newest intent that asks for a change, until a command has said it. */
let changed: number | null = null

/** Tell the page something, and before it what was sent until then. */
function tell(message: FromLink, transfer: Transferable[] = []): void {
  const sent = heartbeat.takeNew()
  if (sent) self.postMessage({ type: 'commands', ...sent } satisfies FromLink)
  self.postMessage(message, { transfer })
}

function open(url: string): void {
  const opened = new WebSocket(url)
  opened.binaryType = 'arraybuffer'
  opened.onopen = () => tell({ type: 'open' })
  opened.onclose = () => {
    tell({ type: 'silent' })
    tell({ type: 'closed' })
  }
  opened.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
    if (typeof event.data === 'string') tell({ type: 'text', text: event.data })
    else hear(event.data)
  }
  socket = opened
}

function hear(data: ArrayBuffer): void {
  try {
    const state = heartbeat.hear(data, performance.now())
    if (heartbeat.foreign && !foreign) refuse()
    tell({ type: 'state', state, atMs: performance.timeOrigin + performance.now() }, [state.values.buffer as ArrayBuffer])
  } catch (error) {
    tell({ type: 'malformed', message: String(error) })
  }
}

/** Let go at once of a robot that obeys others, too. */
function refuse(): void {
  foreign = true
  send()
  tell({ type: 'foreign' })
}

function send(): void {
  if (hushed || socket?.readyState !== WebSocket.OPEN) return
  const command = heartbeat.command(performance.now())
  if (!command) return
  socket.send(command)
  if (changed !== null) tell({ type: 'sent', number: changed, seq: heartbeat.seq })
  changed = null
  if (heartbeat.letGo && !letGo) tell({ type: 'blind' })
  letGo = heartbeat.letGo
}

function tick(): void {
  send()
  if (socket?.readyState !== WebSocket.OPEN) return
  if (++ticks % HEALTH_EVERY === 0) tell({ type: 'health', health: heartbeat.health(performance.now()) })
}

/** Say a change at once, or as soon as it may be said. */
function want(intent: Intent, number: number): void {
  const waitMs = heartbeat.want(intent, performance.now())
  if (waitMs === null) return
  changed = number
  if (waitMs === 0) send()
  else setTimeout(() => changed !== null && send(), waitMs)
}

function lease(epoch: number, hands: number, base: BaseSpeeds | null): void {
  heartbeat.lease(epoch, hands, base)
  foreign = hushed = false
}

function over(): void {
  tell({ type: 'silent' })
  heartbeat.lease(null)
}

function hush(on: boolean): void {
  hushed = on
  if (on) tell({ type: 'silent' })
}

self.onmessage = ({ data }: MessageEvent<ToLink>) => {
  if (data.type === 'open') open(data.url)
  else if (data.type === 'text') socket?.send(data.text)
  else if (data.type === 'lease') lease(data.epoch, data.hands, data.base)
  else if (data.type === 'over') over()
  else if (data.type === 'hush') hush(data.hushed)
  else if (data.type === 'intent') want(data.intent, data.number)
  else if (data.type === 'openings') heartbeat.reset(data.openings)
  else if (data.type === 'shown') heartbeat.shown(data.seq)
  else if (data.type === 'close') socket?.close(1000)
}

setInterval(tick, PERIOD_MS)
