// The hand dragged with a pointer: in the plane that faces the camera, nearer and further by the wheel, turned with Shift.

import { type Camera, Plane, Quaternion, Raycaster, Vector2, Vector3 } from 'three'
import type { Axes } from './input'
import { type Pose, towards } from './servo'

const DEPTH_M_PER_PX = 0.0004
const TURN_RAD_PER_PX = 0.008
const UP = new Vector3(0, 0, 1)

/** Where a pointer is: in pixels, and across and up the picture, each in [-1, 1]. */
export interface Pointer {
  px: { x: number; y: number }
  ndc: { x: number; y: number }
}

export class Drag {
  readonly #camera: Camera
  readonly #goal: Vector3
  readonly #grip: Vector3
  #last: Pointer
  #turn: { from: Pointer; start: Quaternion; goal: Quaternion } | null = null

  /** Take a hand that is drawn at `position`, where the pointer is. */
  constructor(camera: Camera, position: Vector3, pointer: Pointer) {
    this.#camera = camera
    this.#goal = position.clone()
    this.#last = pointer
    this.#grip = position.clone().sub(this.#under(pointer))
  }

  move(pointer: Pointer): void {
    this.#last = pointer
    if (this.#turn) this.#turn.goal = this.#turned(this.#turn.start, this.#turn.from, pointer)
    else this.#goal.copy(this.#under(pointer).add(this.#grip))
  }

  /** Away from the camera if the wheel goes up. */
  wheel(deltaPx: number): void {
    const away = this.#camera.getWorldDirection(new Vector3()).multiplyScalar(-deltaPx * DEPTH_M_PER_PX)
    this.#goal.add(away)
    this.#regrip()
  }

  /** From now on the pointer turns the hand, which is at `hand`, or moves it again. */
  turning(on: boolean, hand: Pose): void {
    if (on === (this.#turn !== null)) return
    const orientation = hand.orientation.clone()
    this.#turn = on ? { from: this.#last, start: orientation, goal: orientation } : null
    this.#regrip()
  }

  axes(hand: Pose, headingRad: number): Axes {
    return towards(hand, this.#goal, this.#turn?.goal ?? null, headingRad)
  }

  /** The point below the pointer, in the plane through the goal that faces the camera. */
  #under(pointer: Pointer): Vector3 {
    const facing = this.#camera.getWorldDirection(new Vector3())
    const plane = new Plane().setFromNormalAndCoplanarPoint(facing, this.#goal)
    const caster = new Raycaster()
    caster.setFromCamera(new Vector2(pointer.ndc.x, pointer.ndc.y), this.#camera)
    return caster.ray.intersectPlane(plane, new Vector3()) ?? this.#goal.clone()
  }

  /** Keep the goal where it is. */
  #regrip(): void {
    this.#grip.copy(this.#goal).sub(this.#under(this.#last))
  }

  #turned(start: Quaternion, from: Pointer, to: Pointer): Quaternion {
    const right = new Vector3(1, 0, 0).applyQuaternion(this.#camera.quaternion)
    const about = (axis: Vector3, px: number) => new Quaternion().setFromAxisAngle(axis, px * TURN_RAD_PER_PX)
    return about(UP, to.px.x - from.px.x).multiply(about(right, to.px.y - from.px.y)).multiply(start)
  }
}
