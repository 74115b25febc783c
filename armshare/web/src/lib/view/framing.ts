// How far away the camera must be for a thing to fit into the part of the picture that no panel covers.

import { type Box3, Vector3 } from 'three'

/** The free part of a picture, in its pixels. */
export interface Free {
  left: number
  top: number
  width: number
  height: number
}

const UP = new Vector3(0, 0, 1)

/** The corners of a box. */
export const cornersOf = ({ min, max }: Box3): Vector3[] =>
  [min.x, max.x].flatMap((x) => [min.y, max.y].flatMap((y) => [min.z, max.z].map((z) => new Vector3(x, y, z))))

/**
 * The smallest distance from the middle of `box` at which a camera in the direction `from` (of length 1, not straight
 * up) has all corners within the tangents `across` and `up` of its half angles.
 */
export function distanceFor(box: Box3, from: Vector3, across: number, up: number): number {
  const middle = box.getCenter(new Vector3())
  const right = UP.clone().cross(from).normalize()
  const above = from.clone().cross(right)
  const needed = cornersOf(box).map((corner) => {
    const away = corner.sub(middle)
    return away.dot(from) + Math.max(Math.abs(away.dot(right)) / across, Math.abs(away.dot(above)) / up)
  })
  return Math.max(...needed)
}
