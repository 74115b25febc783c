// The robot's end of the wire, for tests: it says states, and reads commands.

import spec from '../../../../../teleop/wire/wire.json'
import { COMMAND, type Command, keyOf, MODES, read, SAFETY, type State, STATE, WireError, write } from './wire'

export function encodeState(state: State): ArrayBuffer {
  const bits = spec.state_flags
  return write(STATE, state.values, {
    safety: SAFETY[state.safety],
    flags:
      (state.recording ? bits.recording : 0) |
      (state.succeeded ? bits.succeeded : 0) |
      (state.limited ? bits.limited : 0),
    epoch: state.epoch,
    seq: state.seq,
    applied: state.applied,
    t_host_us: state.tHostUs,
    t_client_us: state.tClientUs,
    commands: state.commands,
    progress: state.progress ?? NaN,
    limits: state.limits,
  })
}

export function decodeCommand(data: ArrayBuffer): Command {
  const { head, values } = read(COMMAND, data)
  const [flags, reserved] = [Number(head['flags']), Number(head['reserved'])]
  const bits = spec.command_flags
  if (flags & ~(bits.dead_man | bits.intervention) || reserved)
    throw new WireError(`expected no unknown flags and reserved 0, got flags ${flags} and ${reserved}`)
  const mode = keyOf(MODES, Number(head['mode']))
  if (!mode) throw new WireError(`expected mode ${Object.values(MODES)}, got ${head['mode']}`)
  if (!values.every(Number.isFinite)) throw new WireError(`expected finite values, got ${values}`)
  return {
    mode,
    deadMan: Boolean(flags & bits.dead_man),
    ...(flags & bits.intervention ? { intervention: true } : {}),
    epoch: Number(head['epoch']),
    seq: Number(head['seq']),
    seen: Number(head['seen']),
    tClientUs: head['t_client_us'] as bigint,
    before: head['before'] as Uint8Array,
    values,
  }
}
