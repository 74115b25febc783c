// Two links in a plane: the angles that reach a point. It moves the arm that this page has for a face.

export interface Point {
  x: number
  y: number
}

export interface Links {
  shoulder: Point
  upper: number
  lower: number
}

/** Elbow and wrist for a hand at `target`, or as near as the links allow (law of cosines; y is down). */
export function reach({ shoulder, upper, lower }: Links, target: Point): { elbow: Point; wrist: Point } {
  const [dx, dy] = [target.x - shoulder.x, target.y - shoulder.y]
  const far = Math.hypot(dx, dy) || 1e-6
  const span = Math.min(Math.max(far, Math.abs(upper - lower) + 1), upper + lower - 0.5)
  const towards = Math.atan2(dy, dx)
  const lift = Math.acos((upper ** 2 + span ** 2 - lower ** 2) / (2 * upper * span))
  const bend = dx < 0 ? towards + lift : towards - lift
  const elbow = { x: shoulder.x + upper * Math.cos(bend), y: shoulder.y + upper * Math.sin(bend) }
  const wrist = { x: shoulder.x + span * Math.cos(towards), y: shoulder.y + span * Math.sin(towards) }
  return { elbow, wrist }
}

/** A pose that is always the same for the same text: how a robot's card gets a face of its own. */
export function poseOf(text: string): Point {
  let hash = 2166136261
  for (const letter of text) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0
  return { x: 62 + (hash % 23), y: 30 + ((hash >>> 8) % 34) }
}
