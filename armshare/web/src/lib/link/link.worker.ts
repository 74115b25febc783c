// The worker that owns the socket and the heartbeat, so that drawing can never delay a command.

import { Heartbeat } from './heartbeat'
import type { Intent } from '../hands/input'
import type { FromLink, ToLink } from './link'

const PERIOD_MS = 1000 / 30
const HEALTH_EVERY = 6

const heartbeat = new Heartbeat()
let socket: WebSocket | null = null
let ticks = 0
let letGo = false
/** The number of the newest intent that asks for a change, until a command has said it. */
let changed: number | null = null

const tell = (message: FromLink, transfer: Transferable[] = []): void => self.postMessage(message, { transfer })

function open(url: string): void {
  const opened = new WebSocket(url)
  opened.binaryType = 'arraybuffer'
  opened.onopen = () => tell({ type: 'open' })
  opened.onclose = () => tell({ type: 'closed' })
  opened.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
    if (typeof event.data === 'string') tell({ type: 'text', text: event.data })
    else hear(event.data)
  }
  socket = opened
}

function hear(data: ArrayBuffer): void {
  try {
    const state = heartbeat.hear(data, performance.now())
    tell({ type: 'state', state, atMs: performance.timeOrigin + performance.now() }, [state.values.buffer as ArrayBuffer])
  } catch (error) {
    tell({ type: 'malformed', message: String(error) })
  }
}

function send(): void {
  if (socket?.readyState !== WebSocket.OPEN) return
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

self.onmessage = ({ data }: MessageEvent<ToLink>) => {
  if (data.type === 'open') open(data.url)
  else if (data.type === 'text') socket?.send(data.text)
  else if (data.type === 'lease') heartbeat.lease(data.epoch, data.hands, data.base)
  else if (data.type === 'over') heartbeat.lease(null)
  else if (data.type === 'intent') want(data.intent, data.number)
  else if (data.type === 'openings') heartbeat.reset(data.openings)
  else if (data.type === 'shown') heartbeat.shown(data.seq)
  else if (data.type === 'close') socket?.close(1000)
}

setInterval(tick, PERIOD_MS)
