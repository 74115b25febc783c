// The joints of a drawn arm as its kinematics have them: their axes, in the frame in which its hand is moved.

import { type Object3D, Quaternion, Vector3 } from 'three'
import type { URDFRobot } from 'urdf-loader'
import type { Descriptor, EndEffector } from '../link/descriptor'
import type { JointAxis, Triple } from '../hands/ways'

/** So near to the end of its range a joint stands at it. */
const END_RAD = 0.012

/** The joints of an end effector as the robot is drawn; `sent` (J,) rad is where they were sent. */
export function axesOf(robot: URDFRobot, descriptor: Descriptor, end: EndEffector, sent: ArrayLike<number>): JointAxis[] {
  const [tip, carrier] = [robot.links[end.link], end.base_link === null ? robot : robot.links[end.base_link]]
  if (!tip || !carrier) return []
  robot.updateMatrixWorld(true)
  const frame = carrier.getWorldQuaternion(new Quaternion()).invert()
  const hand = tip.getWorldPosition(new Vector3())
  return end.joint_names.flatMap((name) => {
    const [joint, at] = [robot.joints[name], descriptor.joint_names.indexOf(name)]
    if (!joint || at < 0) return []
    const axis = joint.axis.clone().transformDirection(joint.matrixWorld)
    const moves = joint.jointType === 'prismatic' ? axis.clone() : axis.clone().cross(hand.clone().sub(originOf(joint)))
    const turns = joint.jointType === 'prismatic' ? new Vector3() : axis
    const [lower, upper] = [descriptor.joint_lower_rad[at] ?? -Infinity, descriptor.joint_upper_rad[at] ?? Infinity]
    const stands = sent[at] ?? 0
    const reached = stands - lower < END_RAD ? -1 : upper - stands < END_RAD ? 1 : 0
    return [{ name, moves: triple(moves.applyQuaternion(frame)), turns: triple(turns.applyQuaternion(frame)), end: reached }]
  })
}

const originOf = (object: Object3D): Vector3 => new Vector3().setFromMatrixPosition(object.matrixWorld)
const triple = ({ x, y, z }: Vector3): Triple => [x, y, z]
