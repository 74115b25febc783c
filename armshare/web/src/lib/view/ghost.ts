// The robot as it was last sent, drawn translucent where that differs from where it is: under delay, in contact, and at
// a limit of speed the target leads.

import { Color, Mesh, MeshLambertMaterial, Quaternion, Vector3 } from 'three'
import type { URDFRobot } from 'urdf-loader'
import type { Descriptor } from '../link/descriptor'
import { Fade } from './fade'
import { setPosture } from './posture'

/** From these on a hand's target is drawn apart from the hand; at `PLAIN` times as far, at full strength. */
const APART_M = 0.005
const APART_RAD = (1.5 * Math.PI) / 180
const PLAIN = 4
const OPACITY = 0.42
const FADE_MS = 150
/** Where a part has not moved, the robot itself is seen. */
const BEHIND = { polygonOffset: true, polygonOffsetFactor: 2, polygonOffsetUnits: 8 }

export class Ghost {
  readonly robot: URDFRobot
  readonly #descriptor: Descriptor
  readonly #fade = new Fade(FADE_MS)
  readonly #material = new MeshLambertMaterial({ transparent: true, opacity: 0, ...BEHIND })

  /** Drawn like `robot`, which is copied as it is now. */
  constructor(robot: URDFRobot, descriptor: Descriptor) {
    this.#descriptor = descriptor
    this.robot = robot.clone()
    this.robot.visible = false
    this.robot.traverse((part) => {
      if (!(part instanceof Mesh)) return
      part.material = this.#material
      part.castShadow = part.receiveShadow = false
    })
  }

  get visible(): boolean {
    return this.robot.visible
  }

  paint(colour: string): void {
    this.#material.color.set(colour)
    this.#material.emissive = new Color(colour).multiplyScalar(0.35)
  }

  /** One frame: where the robot was sent, beside how it is drawn. Returns whether the picture changed. */
  step(drawn: URDFRobot, joints: ArrayLike<number>, openings: ArrayLike<number> | null, nowMs: number): boolean {
    setPosture(this.robot, this.#descriptor, joints, openings)
    const far = Math.max(...this.#descriptor.end_effectors.map(({ link }) => apart(drawn, this.robot, link)))
    const wanted = Math.min(1, Math.max(0, (far - 1) / (PLAIN - 1)))
    const changed = this.#fade.step(wanted, nowMs)
    this.robot.visible = this.#fade.value > 0
    this.#material.opacity = OPACITY * this.#fade.value
    return changed
  }

  dispose(): void {
    this.#material.dispose()
  }
}

const [here, there] = [new Vector3(), new Vector3()]
const [turned, other] = [new Quaternion(), new Quaternion()]

/** How far a link of one is from that of the other: 1 is what can just be seen. */
function apart(one: URDFRobot, two: URDFRobot, link: string): number {
  const [mine, its] = [one.links[link], two.links[link]]
  if (!mine || !its) return 0
  mine.getWorldPosition(here)
  its.getWorldPosition(there)
  mine.getWorldQuaternion(turned)
  its.getWorldQuaternion(other)
  return Math.max(here.distanceTo(there) / APART_M, turned.angleTo(other) / APART_RAD)
}
