import { expect, test } from 'vitest'
import golden from '../../../../../tests/teleop/golden_wire.json'
import malformed from '../../../../../tests/teleop/golden_wire_malformed.json'
import { type Command, decodeState, encodeCommand, type Mode, type Safety, type State, WireError } from './wire'
import { decodeCommand, encodeState } from './wire.testing'

const bytes = (hex: string): ArrayBuffer => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer
const hex = (data: ArrayBuffer): string =>
  Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, '0')).join('')

type Fields = (typeof golden)[number]['fields']

const commandOf = (fields: Fields): Command => ({
  mode: fields.mode as Mode,
  deadMan: fields.dead_man as boolean,
  epoch: fields.epoch,
  seq: fields.seq,
  seen: fields.seen as number,
  tClientUs: BigInt(fields.t_client_us),
  before: new Uint8Array(bytes(fields.before as string)),
  ...(fields.intervention ? { intervention: true } : {}),
  values: Float32Array.from(fields.values),
})

const stateOf = (fields: Fields): State => ({
  safety: fields.safety as Safety,
  recording: fields.recording as boolean,
  succeeded: fields.succeeded as boolean,
  limited: fields.limited as boolean,
  limits: fields.limits as number,
  epoch: fields.epoch,
  seq: fields.seq,
  applied: fields.applied as number,
  tHostUs: BigInt(fields.t_host_us as string),
  tClientUs: BigInt(fields.t_client_us),
  commands: new Uint8Array(bytes(fields.commands as string)),
  progress: fields.progress ?? null,
  values: Float32Array.from(fields.values),
})

test.each(golden.filter((row) => row.message === 'command'))('a command is its golden bytes: $name', (row) => {
  expect(hex(encodeCommand(commandOf(row.fields)))).toBe(row.hex)
  expect(decodeCommand(bytes(row.hex))).toEqual(commandOf(row.fields))
})

test.each(golden.filter((row) => row.message === 'state'))('a state is its golden bytes: $name', (row) => {
  expect(hex(encodeState(stateOf(row.fields)))).toBe(row.hex)
  expect(decodeState(bytes(row.hex))).toEqual(stateOf(row.fields))
})

test.each(malformed)('a malformed message is refused: $name', (row) => {
  const decode = row.message === 'command' ? decodeCommand : decodeState
  expect(() => decode(bytes(row.hex))).toThrow(WireError)
})

test.each([
  ['an epoch past u32', { epoch: 2 ** 32 }],
  ['a negative seq', { seq: -1 }],
  ['a seq that is not whole', { seq: 1.5 }],
  ['a time past u64', { tClientUs: 2n ** 64n }],
  ['more values than a command may have', { values: new Float32Array(65) }],
  ['a hash that is too short', { before: new Uint8Array(31) }],
])('a command is never written with %s', (_, change) => {
  const command: Command = { mode: 'neutral', deadMan: false, epoch: 1, seq: 1, seen: 0, tClientUs: 0n, before: new Uint8Array(32), values: [] }
  expect(() => encodeCommand({ ...command, ...change })).toThrow(WireError)
})
