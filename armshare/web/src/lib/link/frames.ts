// The wire's camera frames, and the answers to them, as `teleop/wire/wire.json` lays them out; `teleop/wire/frames.py` is its other
// reader, and both are held to `tests/teleop/golden_frames.json`.

import spec from '../../../../../teleop/wire/wire.json'
import { PROTOCOL, WireError } from './wire'

export type Codec = keyof typeof spec.codecs

export interface Frame {
  camera: number
  codec: Codec
  /** Whether it can be shown without any before it. */
  key: boolean
  /** Whether it is to be answered once it has been read. */
  asks: boolean
  width: number
  height: number
  seq: number
  /** The `seq` of the state that it shows; 0 if it shows no state. */
  state: number
  tHostUs: bigint
  payload: Uint8Array<ArrayBuffer>
}

const BYTES: Record<string, number> = { u8: 1, u16: 2, u32: 4, u64: 8 }

/** Where each field of a header begins, and how long the header is. */
function layout(fields: (string | number)[][]): { at: Record<string, number>; bytes: number } {
  let bytes = 0
  const at: Record<string, number> = {}
  for (const [name, kind] of fields) {
    at[String(name)] = bytes
    bytes += BYTES[String(kind)] ?? 0
  }
  return { at, bytes }
}

const { frame, seen } = spec.messages
const FRAME = layout(frame.header)
const SEEN = layout(seen.header)

export function decodeFrame(data: ArrayBuffer): Frame {
  if (data.byteLength <= FRAME.bytes)
    throw new WireError(`expected a frame of more than ${FRAME.bytes} bytes, got ${data.byteLength}`)
  const view = new DataView(data)
  const u8 = (name: string) => view.getUint8(FRAME.at[name] as number)
  const u16 = (name: string) => view.getUint16(FRAME.at[name] as number, true)
  const u32 = (name: string) => view.getUint32(FRAME.at[name] as number, true)
  if (u8('kind') !== frame.kind) throw new WireError(`expected kind ${frame.kind} (frame), got ${u8('kind')}`)
  if (u8('protocol') !== PROTOCOL)
    throw new WireError(`expected protocol ${PROTOCOL}, got ${u8('protocol')}; update the older side`)
  const codec = (Object.keys(spec.codecs) as Codec[]).find((name) => spec.codecs[name] === u8('codec'))
  if (!codec) throw new WireError(`expected codec ${Object.values(spec.codecs)}, got ${u8('codec')}`)
  return {
    camera: u8('camera'),
    codec,
    key: Boolean(u8('flags') & spec.frame_flags.key),
    asks: Boolean(u8('flags') & spec.frame_flags.asks),
    width: u16('width'),
    height: u16('height'),
    seq: u32('seq'),
    state: u32('state'),
    tHostUs: view.getBigUint64(FRAME.at['t_host_us'] as number, true),
    payload: new Uint8Array(data, FRAME.bytes),
  }
}

/** The answer that lets more frames come; `wantKey` if the next must stand for itself. */
export function encodeSeen(of: Pick<Frame, 'camera' | 'codec' | 'seq'>, wantKey = false): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(SEEN.bytes))
  const put = (name: string, value: number) => view.setUint8(SEEN.at[name] as number, value)
  put('kind', seen.kind)
  put('protocol', PROTOCOL)
  put('camera', of.camera)
  put('codec', spec.codecs[of.codec])
  put('flags', wantKey ? spec.frame_flags.key : 0)
  view.setUint32(SEEN.at['seq'] as number, of.seq, true)
  return view.buffer as ArrayBuffer
}
