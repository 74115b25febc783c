// The wire's hot path: commands to a robot and states from it, as fixed little-endian binary.
//
// Both layouts are read from `teleop/wire/wire.json`, the one specification; `teleop/wire/messages.py` is its other reader, and
// both are held to the golden bytes in `tests/teleop/golden_wire.json`. A u64 is a bigint, everywhere.

import spec from '../../../../../teleop/wire/wire.json'

export const PROTOCOL: number = spec.protocol
export const MODES = spec.modes
export const SAFETY = spec.safety
/** The bit of each rule in a state's `limits`. */
export const LIMIT_RULES = spec.limit_rules

export type Safety = keyof typeof SAFETY
export type Mode = keyof typeof MODES
export type LimitRule = keyof typeof LIMIT_RULES

/** A binary message is not what `wire.json` says. */
export class WireError extends Error {
  override name = 'WireError'
}

export interface Command {
  mode: Mode
  deadMan: boolean
  epoch: number
  seq: number
  /** The `seq` of the newest state that the operator had been shown. */
  seen: number
  /** The sender's monotonic clock, microseconds. */
  tClientUs: bigint
  /** SHA-256 of the bytes of the command before it in this epoch, zeros in the first: so each binds all before it. */
  before: Uint8Array
  /** Whether a person has taken over from a policy; false if it does not say so. */
  intervention?: boolean
  values: ArrayLike<number>
}

export interface State {
  safety: Safety
  recording: boolean
  succeeded: boolean
  limited: boolean
  /** Which rules changed what was asked for in the last period: bits of `LIMIT_RULES`. */
  limits: number
  epoch: number
  seq: number
  applied: number
  tHostUs: bigint
  tClientUs: bigint
  /** SHA-256 of the bytes of the command in `applied`, zeros before any. */
  commands: Uint8Array
  /** In [0, 1]; null if the robot cannot know. */
  progress: number | null
  values: Float32Array
}

type Kind = 'u8' | 'u16' | 'u32' | 'u64' | 'f32' | 'bytes32'
type Value = number | bigint | Uint8Array
type Field = { name: string; kind: Kind; at: number }
type Header = { kind: number; fields: Field[]; bytes: number; valuesMax: number; name: string }

/** How long a SHA-256 is. */
export const DIGEST_BYTES = 32
const BYTES: Record<Kind, number> = { u8: 1, u16: 2, u32: 4, u64: 8, f32: 4, bytes32: DIGEST_BYTES }
const UNSIGNED_MAX = { u8: 0xffn, u16: 0xffffn, u32: 0xffffffffn, u64: 2n ** 64n - 1n }

function header(name: 'command' | 'state', valuesMax: number): Header {
  let at = 0
  const fields = spec.messages[name].header.map(([field, kind]) => {
    const placed = { name: field as string, kind: kind as Kind, at }
    at += BYTES[placed.kind]
    return placed
  })
  return { name, kind: spec.messages[name].kind, fields, bytes: at, valuesMax }
}

export const COMMAND = header('command', spec.limits.command_values)
export const STATE = header('state', spec.limits.state_values)

export const keyOf = <T extends string>(table: Record<T, number>, value: number): T | undefined =>
  (Object.keys(table) as T[]).find((key) => table[key] === value)

export function encodeCommand(command: Command): ArrayBuffer {
  return write(COMMAND, command.values, {
    mode: MODES[command.mode],
    flags:
      (command.deadMan ? spec.command_flags.dead_man : 0) | (command.intervention ? spec.command_flags.intervention : 0),
    epoch: command.epoch,
    seq: command.seq,
    seen: command.seen,
    t_client_us: command.tClientUs,
    before: command.before,
  })
}

export function decodeState(data: ArrayBuffer): State {
  const { head, values } = read(STATE, data)
  const safety = keyOf(SAFETY, Number(head['safety']))
  if (!safety) throw new WireError(`expected safety ${Object.values(SAFETY)}, got ${head['safety']}`)
  const flags = Number(head['flags'])
  const progress = head['progress'] as number
  return {
    safety,
    recording: Boolean(flags & spec.state_flags.recording),
    succeeded: Boolean(flags & spec.state_flags.succeeded),
    limited: Boolean(flags & spec.state_flags.limited),
    limits: Number(head['limits']),
    epoch: Number(head['epoch']),
    seq: Number(head['seq']),
    applied: Number(head['applied']),
    tHostUs: head['t_host_us'] as bigint,
    tClientUs: head['t_client_us'] as bigint,
    commands: head['commands'] as Uint8Array,
    progress: Number.isNaN(progress) ? null : progress,
    values,
  }
}

export function write(layout: Header, values: ArrayLike<number>, head: Record<string, Value>): ArrayBuffer {
  if (values.length > layout.valuesMax)
    throw new WireError(`expected at most ${layout.valuesMax} values in a ${layout.name}, got ${values.length}`)
  const all: Record<string, Value> = {
    ...head,
    kind: layout.kind,
    protocol: PROTOCOL,
    count: values.length,
    reserved: 0,
  }
  const buffer = new ArrayBuffer(layout.bytes + 4 * values.length)
  const view = new DataView(buffer)
  for (const field of layout.fields) put(view, field, all[field.name])
  for (let i = 0; i < values.length; i++) view.setFloat32(layout.bytes + 4 * i, values[i] as number, true)
  return buffer
}

function put(view: DataView, field: Field, value: Value | undefined): void {
  if (value === undefined) throw new WireError(`expected a value for ${field.name}, got none`)
  if (field.kind === 'bytes32') return putDigest(view, field, value)
  if (typeof value === 'object') throw new WireError(`expected a ${field.kind} for ${field.name}, got bytes`)
  if (field.kind === 'f32') return view.setFloat32(field.at, Number(value), true)
  const fits = typeof value === 'bigint' || Number.isSafeInteger(value)
  if (!fits || BigInt(value) < 0n || BigInt(value) > UNSIGNED_MAX[field.kind])
    throw new WireError(`expected a ${field.kind} for ${field.name}, got ${value}`)
  if (field.kind === 'u64') return view.setBigUint64(field.at, BigInt(value), true)
  if (field.kind === 'u32') return view.setUint32(field.at, Number(value), true)
  if (field.kind === 'u16') return view.setUint16(field.at, Number(value), true)
  view.setUint8(field.at, Number(value))
}

function putDigest(view: DataView, field: Field, value: Value): void {
  if (!(value instanceof Uint8Array) || value.length !== DIGEST_BYTES)
    throw new WireError(`expected ${DIGEST_BYTES} bytes for ${field.name}, got ${value}`)
  new Uint8Array(view.buffer, view.byteOffset).set(value, field.at)
}

function get(view: DataView, field: Field): Value {
  if (field.kind === 'bytes32') return new Uint8Array(view.buffer.slice(field.at, field.at + DIGEST_BYTES))
  if (field.kind === 'f32') return view.getFloat32(field.at, true)
  if (field.kind === 'u64') return view.getBigUint64(field.at, true)
  if (field.kind === 'u32') return view.getUint32(field.at, true)
  if (field.kind === 'u16') return view.getUint16(field.at, true)
  return view.getUint8(field.at)
}

export function read(layout: Header, data: ArrayBuffer): { head: Record<string, Value>; values: Float32Array } {
  if (data.byteLength < layout.bytes)
    throw new WireError(`expected a ${layout.name} of at least ${layout.bytes} bytes, got ${data.byteLength}`)
  const view = new DataView(data)
  const head = Object.fromEntries(layout.fields.map((field) => [field.name, get(view, field)]))
  if (head['kind'] !== layout.kind)
    throw new WireError(`expected kind ${layout.kind} (${layout.name}), got ${head['kind']}`)
  if (head['protocol'] !== PROTOCOL)
    throw new WireError(`expected protocol ${PROTOCOL}, got ${head['protocol']}; update the older side`)
  const count = Number(head['count'])
  if (count > layout.valuesMax)
    throw new WireError(`expected at most ${layout.valuesMax} values in a ${layout.name}, got ${count}`)
  if (data.byteLength !== layout.bytes + 4 * count)
    throw new WireError(`expected ${layout.bytes + 4 * count} bytes for ${count} values, got ${data.byteLength}`)
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) values[i] = view.getFloat32(layout.bytes + 4 * i, true)
  return { head, values }
}
