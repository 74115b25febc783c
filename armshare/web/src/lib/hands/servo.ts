// From where a hand is and where it is wanted to the motion that brings it there: for what points instead of pushing.

import { Quaternion, Vector3 } from 'three'
import type { Axes } from './input'
import { ANGULAR_MAX_RAD_S, LINEAR_MAX_M_S } from './twist'

/** How much of the way is gone in a second, were it not for the greatest speed. */
const GAIN_PER_S = 4

export interface Pose {
  position: Vector3
  orientation: Quaternion
}

/** x y z, then the quaternion x y z w, as a state has it. */
export function poseOf(values: ArrayLike<number>): Pose {
  const [x = 0, y = 0, z = 0, qx = 0, qy = 0, qz = 0, qw = 1] = Array.from(values)
  return { position: new Vector3(x, y, z), orientation: new Quaternion(qx, qy, qz, qw).normalize() }
}

/** The turn that `q` is, as a vector along its axis, rad; the short way round. */
export function turnOf(q: Quaternion): Vector3 {
  const [axis, w] = q.w < 0 ? [new Vector3(-q.x, -q.y, -q.z), -q.w] : [new Vector3(q.x, q.y, q.z), q.w]
  const length = axis.length()
  return length < 1e-9 ? new Vector3() : axis.multiplyScalar((2 * Math.atan2(length, w)) / length)
}

/** The axes towards a place, and if it is given a turn too, in the frame of a base that is turned by `headingRad`. */
export function towards(hand: Pose, position: Vector3, orientation: Quaternion | null, headingRad = 0): Axes {
  const unturned = new Quaternion().setFromAxisAngle(new Vector3(0, 0, 1), -headingRad)
  const shift = position.clone().sub(hand.position).applyQuaternion(unturned)
  shift.multiplyScalar(GAIN_PER_S / LINEAR_MAX_M_S).clampLength(0, 1)
  const turn = orientation ? turnOf(orientation.clone().multiply(hand.orientation.clone().invert())) : new Vector3()
  turn.applyQuaternion(unturned).multiplyScalar(GAIN_PER_S / ANGULAR_MAX_RAD_S).clampLength(0, 1)
  return { x: shift.x, y: shift.y, z: shift.z, roll: turn.x, pitch: turn.y, yaw: turn.z }
}
