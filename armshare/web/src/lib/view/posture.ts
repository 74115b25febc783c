// A drawn robot's joints, set from the arrays of a state.

import type { URDFRobot } from 'urdf-loader'
import type { Descriptor } from '../link/descriptor'

/** Set the joints (J,) rad and the hands' openings, 0 closed, 1 open; what is not given is at home, and open. */
export function setPosture(
  robot: URDFRobot,
  descriptor: Descriptor,
  joints: ArrayLike<number> | null,
  openings: ArrayLike<number> | null,
): void {
  descriptor.joint_names.forEach((name, i) => turn(robot, name, joints ? (joints[i] ?? 0) : (descriptor.home_rad[i] ?? 0)))
  descriptor.end_effectors.forEach((end, i) => {
    for (const [name, [closed, open]] of Object.entries(end.gripper_joints))
      turn(robot, name, closed + (openings?.[i] ?? 1) * (open - closed))
  })
}

/** The drawn joint follows what was measured, also beyond the URDF's own limits. */
function turn(robot: URDFRobot, name: string, value: number): void {
  const joint = robot.joints[name]
  if (!joint) return
  joint.ignoreLimits = true
  joint.setJointValue(value)
}
