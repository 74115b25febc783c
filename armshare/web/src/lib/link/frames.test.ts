import { expect, test } from 'vitest'
import golden from '../../../../../tests/teleop/golden_frames.json'
import { type Codec, decodeFrame, encodeSeen } from './frames'
import { WireError } from './wire'

const bytes = (hex: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16))
const hex = (data: ArrayBuffer): string =>
  Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, '0')).join('')

test.each(golden.filter((row) => row.message === 'frame'))('a frame is its golden bytes: $name', ({ fields, hex }) => {
  const { payload, ...head } = decodeFrame(bytes(hex).buffer)
  const { payload: expected, t_host_us, ...rest } = fields
  expect(payload).toEqual(bytes(expected as string))
  expect(head).toEqual({ ...rest, tHostUs: BigInt(t_host_us as string) })
})

test.each(golden.filter((row) => row.message === 'seen'))('an answer is its golden bytes: $name', ({ fields, hex: said }) => {
  const of = { camera: fields.camera, codec: fields.codec as Codec, seq: fields.seq }
  expect(hex(encodeSeen(of, fields.want_key))).toBe(said)
})

test('what is no frame is refused', () => {
  const whole = bytes(golden[0]?.hex ?? '')
  const [kind, protocol, codec] = [whole.slice(), whole.slice(), whole.slice()]
  kind[0] = 2
  protocol[1] = 9
  codec[3] = 7
  for (const data of [whole.slice(0, 10), kind, protocol, codec, new Uint8Array()])
    expect(() => decodeFrame(data.buffer)).toThrow(WireError)
})
