// A phone or a headset's controller that is moved in the air as motion of the hand (WebXR Device API).
//
// By a clutch: while a button is held, the hand goes from where it was by as much as the device does, scaled. Away from
// the person is away from the robot, however both stand. The device's frame is WebXR's: x right, y up, z backward.

import { Quaternion, Vector3 } from 'three'
import type { Axes } from './input'
import { PlainError } from '../trouble'
import { type Pose, towards, turnOf } from './servo'

export type Kind = 'immersive-ar' | 'immersive-vr'
const KINDS: readonly Kind[] = ['immersive-ar', 'immersive-vr']

/** Tracking that is lost and found again jumps; a person does not, between two frames. */
const JUMP_M = 0.06
const JUMP_RAD = (25 * Math.PI) / 180
const SCALE = 1
const UP = new Vector3(0, 1, 0)
const STEEP = 0.8

/** How far about the vertical a device is turned away from looking along -z; if it looks up or down, by its top. */
export function headingOf(orientation: Quaternion): number {
  const ahead = new Vector3(0, 0, -1).applyQuaternion(orientation)
  const top = new Vector3(0, ahead.y > 0 ? -1 : 1, 0).applyQuaternion(orientation)
  const along = Math.abs(ahead.y) > STEEP ? top : ahead
  return Math.atan2(-along.x, -along.z)
}

/** From a device's frame to the robot's: x away, y left, z up. */
function toRobot(vector: Vector3, headingRad: number): Vector3 {
  const { x, y, z } = vector.clone().applyAxisAngle(UP, -headingRad)
  return new Vector3(-z, -x, y)
}

/** Since the clutch was closed: where the hand was, and by how much the device has moved. */
interface Held {
  hand: Pose
  headingRad: number
  last: Pose
  moved: Vector3
  turned: Quaternion
}

export class Clutch {
  #held: Held | null = null

  /** Let go: the next frame that is held is a new beginning. */
  release(): void {
    this.#held = null
  }

  /** One frame: where the device is, and the hand of a robot whose base is turned by `baseRad`. */
  step(device: Pose, hand: Pose, baseRad: number): Axes {
    const held = (this.#held ??= {
      hand,
      headingRad: headingOf(device.orientation),
      last: device,
      moved: new Vector3(),
      turned: new Quaternion(),
    })
    const shift = device.position.clone().sub(held.last.position)
    const turn = device.orientation.clone().multiply(held.last.orientation.clone().invert())
    if (shift.length() <= JUMP_M && turnOf(turn).length() <= JUMP_RAD) {
      held.moved.add(shift)
      held.turned.premultiply(turn)
    }
    held.last = device
    return this.#towards(held, hand, baseRad)
  }

  #towards(held: Held, hand: Pose, baseRad: number): Axes {
    const carried = new Quaternion().setFromAxisAngle(new Vector3(0, 0, 1), baseRad)
    const moved = toRobot(held.moved, held.headingRad).applyQuaternion(carried)
    const turn = toRobot(turnOf(held.turned), held.headingRad).applyQuaternion(carried)
    const turned = new Quaternion().setFromAxisAngle(turn.clone().normalize(), turn.length())
    const goal = held.hand.position.clone().addScaledVector(moved, SCALE)
    return towards(hand, goal, turned.multiply(held.hand.orientation), baseRad)
  }
}

/** Which kinds of session this browser and its devices have. */
export async function offered(xr: XRSystem | undefined): Promise<Kind[]> {
  const asked = KINDS.map(async (kind) => ((await xr?.isSessionSupported(kind).catch(() => false)) ? [kind] : []))
  return (await Promise.all(asked)).flat()
}

/** What a session moves. */
export interface Moved {
  hand(): Pose | null
  headingRad(): number
  /** Whether the button on the page is held, while a phone moves the hand. */
  phoneHeld(): boolean
  hold(axes: Axes | null): void
  gripper(): void
}

const SQUEEZE = 1
const posed = ({ transform: { position: p, orientation: q } }: XRPose): Pose => ({
  position: new Vector3(p.x, p.y, p.z),
  orientation: new Quaternion(q.x, q.y, q.z, q.w),
})

/**
 * Begin a session, from a click. `draw` takes a headset's session to draw in it; a phone goes on showing the page.
 * Resolves once it runs; `ended` is called at its end, by whomever.
 */
export async function enter(
  kind: Kind,
  moved: Moved,
  draw: (session: XRSession) => Promise<void>,
  ended: () => void,
): Promise<XRSession> {
  const xr = navigator.xr
  if (!xr) throw new PlainError('This browser has no WebXR. Use one that has it, such as the one in your headset.')
  const phone = kind === 'immersive-ar'
  const overPage: XRSessionInit = { requiredFeatures: ['dom-overlay'], domOverlay: { root: document.body } }
  const session = await xr.requestSession(kind, phone ? overPage : {})
  const clutch = new Clutch()
  const letGo = () => {
    clutch.release()
    moved.hold(null)
  }
  session.addEventListener('end', () => (letGo(), ended()))
  session.addEventListener('visibilitychange', () => session.visibilityState !== 'visible' && letGo())
  session.addEventListener('select', ({ inputSource }) => inputSource.gamepad && moved.gripper())
  const space = await session.requestReferenceSpace('local')
  await (phone ? blank(session) : draw(session))
  session.requestAnimationFrame(function frame(_, at) {
    session.requestAnimationFrame(frame)
    const device = phone ? moved.phoneHeld() && at.getViewerPose(space) : squeezed(session, at, space)
    const hand = moved.hand()
    if (!device || !hand || session.visibilityState !== 'visible') return letGo()
    moved.hold(clutch.step(posed(device), hand, moved.headingRad()))
  })
  return session
}

/** The pose of the controller that is squeezed. */
function squeezed(session: XRSession, at: XRFrame, space: XRReferenceSpace): XRPose | null {
  const held = [...session.inputSources].find(({ gamepad }) => gamepad?.buttons[SQUEEZE]?.pressed)
  return (held?.gripSpace && at.getPose(held.gripSpace, space)) ?? null
}

/** A session gives no frames without something to draw on. */
async function blank(session: XRSession): Promise<void> {
  const gl = document.createElement('canvas').getContext('webgl', { xrCompatible: true })
  if (!gl) throw new PlainError('This browser cannot draw in 3D (WebGL). Turn on hardware acceleration, or use another browser.')
  await session.updateRenderState({ baseLayer: new XRWebGLLayer(session, gl) })
}
